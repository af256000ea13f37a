"""What must hold of a store's reservations whatever happened to who made them: read without any code of ours."""

from fractions import Fraction
from itertools import pairwise


def replay(trail, limits):
    """What the trail comes to, and what is wrong on the way: at no line may more be promised than there is.

    A clock has no say in it: what has not ended by a line of the trail counts.
    """
    state, wrong = {}, []
    room = {key: Fraction(quota) - Fraction(used) for key, (quota, used) in limits.items()}
    for n, (number, action, name, _, changes) in enumerate(trail, 1):
        if number != n:
            wrong.append(f"line {n} has the number {number}")
        for change in changes:
            key = change["key"][2], change["key"][1]
            was = state.get((name, key), [0.0, "", 0])
            before = was[0] if was[1] == "active" else 0.0
            if change["was"] != before:
                wrong.append(f"line {number}: {name} {key} was {before}, and the line says {change['was']}")
            room[key] += Fraction(before) - Fraction(change["amount"])
            if change["status"] == "purged":
                state.pop((name, key), None)
            else:
                amount = change["amount"] if change["status"] == "active" else was[0]
                state[name, key] = [amount, change["status"], change["expires_s"]]
        # What a resize gives back makes room for what it takes.
        over = [key for key in {(c["key"][2], c["key"][1]) for c in changes} if room[key] < 0]
        wrong += [f"line {number} ({action} {name}): {key} is oversold by {float(-room[key])}" for key in over]
    return state, wrong


def verify(place, logs, limits, done):
    """All that is wrong. The logs are read before the store: what was answered by then must be in it."""
    held, names, trail, wrong = place.snapshot()
    state, unlike = replay(trail, limits)
    wrong += unlike
    different = [name for name in {**held, **state} if held.get(name) != state.get(name)]
    if different:
        wrong.append(f"the trail does not come to the rows of {different[:3]}")
    if set(names) != {name for name, _ in held}:
        wrong.append(f"coordinations without rows, or the other way round: {set(names) ^ {n for n, _ in held}}")
    wrong += told(trail, logs)
    if done:
        check = place.check()
        wrong += [] if check.sound else [str(check)]
    return wrong


def told(trail, logs):
    """What processes were told, against the trail: nothing that was granted is lost, and nothing is there by half."""
    wrong = []
    lines = {}  # what a line says it was done for → the lines
    for line in trail:
        if line[1] not in ("expire", "purge"):
            lines.setdefault(line[3], []).append(line)
    asked = {one["why"]: one for log in logs for one in log if "call" in one}
    for log in logs:
        wrong += [f"{one['n']}: {one['said']['error']}" for one in log if "error" in one.get("said", {})]
        answers = {one["n"]: one["said"] for one in log if "said" in one}
        for one in log:
            if "call" in one and one["call"] not in ("expire", "purge"):
                wrong += judged(one, answers.get(one["n"]), lines.get(one["why"], []))
    forgotten = {}  # coordination → lines after which nothing of it is left
    for number, action, name, _, _ in trail:
        if action == "purge":
            forgotten.setdefault(name, []).append(number)
    claims = {}  # token → its claims
    for why, found in lines.items():
        token = asked.get(why, {}).get("token")
        if token:
            claims.setdefault(token, []).extend(line for line in found if line[1] == "reserve")
    for token, found in claims.items():
        found.sort()
        for first, second in pairwise(found):
            if not any(first[0] < n < second[0] for n in forgotten.get(first[2], ())):
                wrong.append(f"the token {token} was claimed twice: lines {first[0]} and {second[0]}")
    return wrong


def judged(asked, said, lines):
    """One call, its answer (None: killed before), and what the trail has of it."""
    what = f"{asked['why']} ({asked['call']})"
    if len(lines) > 1:
        return [f"{what} is in the trail {len(lines)} times"]
    wanted = {(service, region): amount for service, region, amount in asked.get("amounts", ())}
    if lines and asked["call"] == "reserve":
        found = {(c["key"][2], c["key"][1]): c["amount"] for c in lines[0][4]}
        if found != wanted:
            return [f"{what} is there by half: {found} of {wanted}"]
    if lines and asked["call"] == "resize":
        found = {(c["key"][2], c["key"][1]): c["amount"] for c in lines[0][4]}
        if any(amount != wanted.get(key, 0.0) for key, amount in found.items()):
            return [f"{what} is there by half: {found} of {wanted}"]
    if said is None or "error" in said:
        return []
    if asked["call"] == "reserve":
        there = bool(said.get("granted")) and not said.get("repeated")
        return [] if bool(lines) == there else [f"{what} was answered {said}, and is in the trail: {bool(lines)}"]
    if asked["call"] == "resize":
        return [f"{what} was answered {said}, and is in the trail"] if lines and not said.get("granted") else []
    count = len(lines[0][4]) if lines else 0
    return [] if count == said.get("count", 0) else [f"{what} was answered {said}, and the trail has {count}"]
