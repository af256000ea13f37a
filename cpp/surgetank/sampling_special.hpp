// Kernel `sampling`, special functions: what distributions are made of. Double precision, a relative error of about
// 1e-13 in either tail.
//
// Sources: normal quantile AS 241 (Wichura 1988); incomplete gamma and beta by series and continued fractions (Lentz
// 1976; Press et al., Numerical Recipes, 2007, ch. 6).
#pragma once

namespace surgetank::sampling {

/// Both tails of a distribution function: below = P(X ≤ x), above = P(X > x), each without cancellation.
struct Tails {
    double below = 0, above = 1;
};

Tails normal_tails(double z);
/// z with P(Z ≤ z) = below; the smaller of below and above is what counts. 0: −inf, 1: inf.
double normal_quantile(const Tails& p);

/// ln Γ(x); unlike std::lgamma it writes nothing that threads share.
double log_gamma(double x);

/// Regularised incomplete gamma functions P(a, x) and Q(a, x); a > 0, x ≥ 0.
Tails gamma_tails(double a, double x);

/// Regularised incomplete beta function I_x(a, b); `rest` is 1 − x, given apart so that neither end loses digits.
Tails beta_tails(double a, double b, double x, double rest);

}  // namespace surgetank::sampling
