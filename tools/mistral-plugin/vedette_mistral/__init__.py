"""The monitor action of Vedette for OpenStack Mistral."""
