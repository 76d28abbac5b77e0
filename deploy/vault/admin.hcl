# The second identity (CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE): new versions, minimum versions, trimming. It can use
# the key for nothing. Only the two minimums may be configured: `exportable`, `allow_plaintext_backup` and
# `deletion_allowed` are configuration too, and would give the key away.

path "transit/keys/codevector" {
  capabilities = ["read"]
}

path "transit/keys/codevector/rotate" {
  capabilities = ["update"]
}

path "transit/keys/codevector/config" {
  capabilities = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
  }
}

path "transit/keys/codevector/trim" {
  capabilities = ["update"]
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
