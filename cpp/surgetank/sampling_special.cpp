#include "surgetank/sampling_special.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace surgetank::sampling {
namespace {

constexpr double eps = 4e-16, tiny = 1e-300;
constexpr double inf = std::numeric_limits<double>::infinity();

double ratio(const double (&numerator)[8], const double (&denominator)[8], double x) {
    double n = 0, d = 0;
    for (int i = 7; i >= 0; --i) n = n * x + numerator[i], d = d * x + denominator[i];
    return n / d;
}

// x^a·e^−x/Γ(a + 1), without losing digits where a and x are large and close.
double gamma_front(double a, double x) {
    if (x <= 0) return 0;
    if (a < 10) return std::exp(a * std::log(x) - x - log_gamma(a + 1));
    const double d = (x - a) / a;
    // Stirling: ln Γ(a + 1) = a·ln a − a + ½·ln(2πa) + 1/(12a) − …
    const double correction = (1.0 / 12 - (1.0 / 360 - 1.0 / (1260 * a * a)) / (a * a)) / a;
    return std::exp(a * (std::log1p(d) - d) - correction) / std::sqrt(2 * std::numbers::pi * a);
}

double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (std::abs(d) < tiny) d = tiny;
    d = 1 / d;
    double h = d;
    for (int m = 1; m <= 100'000; ++m) {
        const double k = m;
        for (const double e : {k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k)),
                               -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))}) {
            d = 1 + e * d;
            c = 1 + e / c;
            if (std::abs(d) < tiny) d = tiny;
            if (std::abs(c) < tiny) c = tiny;
            d = 1 / d;
            h *= d * c;
        }
        if (std::abs(d * c - 1) < eps) break;
    }
    return h;
}

}  // namespace

double log_gamma(double x) {
#if defined(__GLIBC__)
    int sign;  // std::lgamma writes a global
    return ::lgamma_r(x, &sign);
#else
    return std::lgamma(x);
#endif
}

Tails normal_tails(double z) {
    const double s = z / std::numbers::sqrt2;
    return {0.5 * std::erfc(-s), 0.5 * std::erfc(s)};
}

double normal_quantile(const Tails& p) {
    const double least = std::min(p.below, p.above);
    const double sign = p.below < p.above ? -1 : 1;
    if (least <= 0) return sign * inf;
    const double q = 0.5 - least;
    if (q <= 0.425) {
        static constexpr double a[8] = {3.3871328727963666080,    1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                        1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                        3.3430575583588128105e+4, 2.5090809287301226727e+3};
        static constexpr double b[8] = {1.0,
                                        4.2313330701600911252e+1,
                                        6.8718700749205790830e+2,
                                        5.3941960214247511077e+3,
                                        2.1213794301586595867e+4,
                                        3.9307895800092710610e+4,
                                        2.8729085735721942674e+4,
                                        5.2264952788528545610e+3};
        return sign * q * ratio(a, b, 0.180625 - q * q);
    }
    const double r = std::sqrt(-std::log(least));
    if (r <= 5) {
        static constexpr double c[8] = {1.42343711074968357734,    4.63033784615654529590,   5.76949722146069140550,
                                        3.64784832476320460504,    1.27045825245236838258,   2.41780725177450611770e-1,
                                        2.27238449892691845833e-2, 7.74545014278341407640e-4};
        static constexpr double d[8] = {1.0,
                                        2.05319162663775882187,
                                        1.67638483018380384940,
                                        6.89767334985100004550e-1,
                                        1.48103976427480074590e-1,
                                        1.51986665636164571966e-2,
                                        5.47593808499534494600e-4,
                                        1.05075007164441684324e-9};
        return sign * ratio(c, d, r - 1.6);
    }
    static constexpr double e[8] = {6.65790464350110377720,    5.46378491116411436990,    1.78482653991729133580,
                                    2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                    2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static constexpr double f[8] = {1.0,
                                    5.99832206555887937690e-1,
                                    1.36929880922735805310e-1,
                                    1.48753612908506148525e-2,
                                    7.86869131145613259100e-4,
                                    1.84631831751005468180e-5,
                                    1.42151175831644588870e-7,
                                    2.04426310338993978564e-15};
    return sign * ratio(e, f, r - 5);
}

Tails gamma_tails(double a, double x) {
    if (!(x > 0)) return {0, 1};
    if (x == inf) return {1, 0};
    const double front = gamma_front(a, x);
    if (x < a + 1) {
        double term = 1, sum = 1;
        for (double n = a + 1; term > sum * eps; n += 1) sum += term *= x / n;
        const double below = std::min(1.0, front * sum);
        return {below, 1 - below};
    }
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (int i = 1; i <= 1'000'000; ++i) {
        const double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        c = b + an / c;
        if (std::abs(d) < tiny) d = tiny;
        if (std::abs(c) < tiny) c = tiny;
        d = 1 / d;
        h *= d * c;
        if (std::abs(d * c - 1) < eps) break;
    }
    const double above = std::clamp(front * a * h, 0.0, 1.0);
    return {1 - above, above};
}

Tails beta_tails(double a, double b, double x, double rest) {
    if (!(x > 0)) return {0, 1};
    if (!(rest > 0)) return {1, 0};
    const double front =
        std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log(rest));
    if (x < (a + 1) / (a + b + 2)) {
        const double below = std::clamp(front * beta_fraction(a, b, x) / a, 0.0, 1.0);
        return {below, 1 - below};
    }
    const double above = std::clamp(front * beta_fraction(b, a, rest) / b, 0.0, 1.0);
    return {1 - above, above};
}

}  // namespace surgetank::sampling
