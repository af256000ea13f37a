"""Choices from the bytes of an input: when they are used up, every choice is the first."""


class Draws:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def below(self, most):
        return (self.byte() | (self.byte() << 8)) % most if most > 256 else self.byte() % most

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def chance(self, one_in):
        return self.byte() % one_in == one_in - 1
