# The key sidecar, all in one: it wraps for the registry and opens for the routers, each on a socket of its own.
# Mount `transit`, key `codevector`: use your own names in all four files. `update` only, never `create`, which
# would make a new key of a mistyped name. Anything more is refused by the sidecar when it starts.

path "transit/encrypt/codevector" {
  capabilities = ["update"]
}

path "transit/decrypt/codevector" {
  capabilities = ["update"]
}

path "transit/rewrap/codevector" {
  capabilities = ["update"]
}

path "transit/keys/codevector" {
  capabilities = ["read"]
}

# What any identity needs to stay alive and to see what it may do, for roles without the policy `default`.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "sys/capabilities-self" {
  capabilities = ["update"]
}
