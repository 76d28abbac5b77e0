# A sidecar for the registry alone, where routers have sidecars of their own: it wraps and moves data keys and
# cannot open one, so whoever takes over its host learns none. Verifying is answered with FAILED_PRECONDITION
# here and is asked of a sidecar with opener.hcl.

path "transit/encrypt/codevector" {
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
