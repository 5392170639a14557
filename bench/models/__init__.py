"""Programs that compute what cannot be measured here: more load, and more machines, than one has. Seedable."""
