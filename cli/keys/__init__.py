"""providerctl key: key versions, their rotation with proof, their end, and what a compromise needs."""
