from fake_aws_world import DEFAULT_QUOTAS, Known, World


def large_world(services=20, each=150):
    """3,000 quotas in every account and Region: those that are watched by default, and others."""
    names = list(dict.fromkeys(quota.service for quota in DEFAULT_QUOTAS))
    names += [f"service-{n}" for n in range(services - len(names))]
    made = list(DEFAULT_QUOTAS)
    for name in names:
        own = sum(quota.service == name for quota in DEFAULT_QUOTAS)
        made += [Known(name, f"L-{n:08X}", 10.0, 20.0 if n % 3 else None) for n in range(each - own)]
    return World(quotas=tuple(made))
