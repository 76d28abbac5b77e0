"""The local keyring: KEKs in one file of this machine, under an unlock secret."""
