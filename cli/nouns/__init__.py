"""The commands of ``providerctl`` as data, a module for each noun."""
