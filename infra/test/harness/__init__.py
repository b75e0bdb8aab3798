"""What infra's tests are made of."""
