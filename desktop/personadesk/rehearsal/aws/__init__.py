"""Amazon's EC2, with the few calls of STS, SSM, Service Quotas and the price list that go with it."""
