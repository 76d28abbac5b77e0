"""The Transit keyring: KEKs stay in Vault or OpenBao. The only room that speaks to it."""
