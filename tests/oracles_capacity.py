"""The slow, obvious twin of capacity coupling: moment by moment, sample by sample, with the standard library alone."""

import math
from itertools import combinations


def coupling(usage, quota, step_s, regions, group, is_global, unknown, growth, together, overlap_frac=0.0):
    """For each moment at which the event could have begun, what would have fit.

    ``usage``: a list for each quota, NaN where not observed; ``group``: the same number is the same quota in different
    Regions; ``unknown``: whether nothing recent is known of its usage; ``growth``: (factor in the event, factor while
    nothing fails); ``together``: the scenarios of the event. Returns the quotas covered, those that load reaches, and
    by moment a dictionary of quota → (need, share of what lands that is served).
    """
    length = max(1, math.floor(max(s.duration_s for s in together) / step_s + 0.5))
    failed = {r for s in together if not s.in_place for r in s.sources}
    covered, reached = {}, []
    for i in range(len(usage)):
        if regions[i] in failed and not is_global[i]:
            continue
        stays, brought = 1.0, []  # brought: (quota, weight), its own surge included
        touched = False
        for s in together:
            for j in range(len(usage)):
                if is_global[i] or is_global[j] or group[i] != group[j] or regions[j] not in s.sources:
                    continue
                if s.in_place and j == i:
                    touched = True
                    if s.multiplier > 1:
                        brought.append((i, s.multiplier - 1))
                    else:
                        stays -= 1 - s.multiplier
                elif not s.in_place and regions[i] in s.targets:
                    touched = True
                    brought.append((j, s.targets[regions[i]] * s.multiplier * (1 + overlap_frac)))
        reached += [i] if touched else []
        if math.isnan(quota[i]) or unknown[i] or any(unknown[j] for j, _ in brought):
            continue
        own = [stays * u for u in usage[i]]
        lands = [math.fsum(w * usage[j][t] for j, w in brought) for t in range(len(own))]
        if all(math.isnan(a + b) for a, b in zip(own, lands, strict=True)):
            continue
        covered[i] = (own, lands, bool(brought), growth[i][0] if touched else growth[i][1])
    moments = {}
    for t in range(len(usage[0]) - length + 1):
        found = {}
        for i, (own, lands, anything, factor) in covered.items():
            window = [(a, b) for a, b in zip(own[t : t + length], lands[t : t + length], strict=True) if a + b == a + b]
            if 2 * len(window) < length:
                break
            need = factor * max(a + b for a, b in window)
            served = min(_served(a, b, anything, quota[i], factor) for a, b in window)
            found[i] = (need, served)
        else:
            moments[t] = found
    return list(covered), reached, moments


def _served(own, landing, anything, quota, factor):
    if own + landing <= quota / factor * (1 + 1e-12):
        return 1.0
    if not anything:  # nothing can land here: its own load is what must fit
        own, landing = 0.0, own
    if landing <= 0:
        return 0.0
    return min(1.0, max(0.0, (quota / factor - own) / landing))


def least_raises(lacks, wanted):
    """By trying every set of ``wanted`` moments: the smallest sum of raises with which all of it fits; tiny only."""
    best = math.inf
    for chosen in combinations(lacks, wanted):
        best = min(best, sum(max(column) for column in zip(*chosen, strict=True)) if chosen else 0.0)
    return best
