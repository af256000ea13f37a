"""The slow, obvious twin of reading and storing usage: dictionaries, one row at a time."""

import itertools


def merged(*imports):
    """Region → second → the largest usage; NaN is not observed."""
    found = {}
    for rows in imports:
        for region, second, value in rows:
            series = found.setdefault(region, {})
            if value == value:
                series[second] = max(value, series.get(second, 0.0))
    return found


def counts(rows, known=()):
    """What the report of one import says: added, duplicates, conflicts, missing; ``known`` are rows of before."""
    seen = {}
    for region, second, value in known:
        if value == value:
            seen[region, second] = max(value, seen.get((region, second), -1.0))
    new = {}
    missing = 0
    for region, second, value in rows:
        if value != value:
            missing += 1
        else:
            new.setdefault((region, second), []).append(value)
    added = duplicates = conflicts = 0
    for place, values in new.items():
        values = sorted(values)
        for one, other in itertools.pairwise(values):
            duplicates, conflicts = duplicates + (one == other), conflicts + (one != other)
        if place not in seen:
            added += 1
        elif seen[place] == values[-1]:
            duplicates += 1
        else:
            conflicts += 1
    return added, duplicates, conflicts, missing


def gaps(seconds):
    """How often more than one and a half median spacings lie between two samples, and the longest."""
    seconds = sorted(seconds)
    spacings = [b - a for a, b in itertools.pairwise(seconds)]
    if not spacings:
        return 0, 0.0
    ordered = sorted(spacings)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    wide = [s for s in spacings if s > 1.5 * middle]
    return len(wide), float(max(wide, default=0))
