# A sidecar beside a router, or the verifier: it opens data keys and makes none.

path "transit/decrypt/codevector" {
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
