"""What the commands of all resources share: names, tables, fields that are set, deletions that are
confirmed."""
