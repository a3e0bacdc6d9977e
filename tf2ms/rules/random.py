"""Random numbers: TensorFlow's distribution, MindSpore's own stream. Seeds do not give the same numbers."""

from __future__ import annotations

from tf2ms.rules.op import Expression, NoForm, Op
from tf2ms.rules.registry import rule

_STREAM = "the distribution is kept, not the numbers: the frameworks draw differently from one seed"


def _type(op: Op, form: str, dtype: str, own: str = "float32") -> str:
    return form if dtype == own else f"{form}.astype(ms.{dtype})"


@rule("RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2", form="ops.rand", note=_STREAM)
def random_uniform(op: Op) -> Expression:
    """tf.random.uniform in [0, 1)."""
    sizes = op.sizes(0)
    return op.form(_type(op, f"ops.rand(*{sizes.text(0)})", op.dtype("dtype")), *sizes.operands)


@rule("RandomUniformInt", "StatelessRandomUniformInt", "StatelessRandomUniformIntV2", form="ops.randint", note=_STREAM)
def random_uniform_int(op: Op) -> Expression:
    """tf.random.uniform of integers in [low, high)."""
    sizes = op.sizes(0)
    low, high = (op.required_number(len(op) + at, "the range") for at in (-2, -1))
    dtype = op.dtype("Tout" if op.node.op == "RandomUniformInt" else "dtype", "int32")
    return op.form(f"ops.randint({low}, {high}, {sizes.text(0)}).astype(ms.{dtype})", *sizes.operands)


@rule(
    "RandomStandardNormal", "StatelessRandomNormal", "StatelessRandomNormalV2", form="ops.standard_normal", note=_STREAM
)
def random_normal(op: Op) -> Expression:
    """tf.random.normal of mean 0 and deviation 1."""
    sizes = op.sizes(0)
    return op.form(_type(op, f"ops.standard_normal({sizes.text(0)})", op.dtype("dtype")), *sizes.operands)


@rule(
    "TruncatedNormal",
    "StatelessTruncatedNormal",
    "StatelessTruncatedNormalV2",
    form="erfinv of a uniform draw",
    note=_STREAM,
)
def truncated_normal(op: Op) -> Expression:
    """tf.random.truncated_normal within two deviations, by the inverse of its distribution."""
    sizes = op.sizes(0)
    form = f"1.4142135623730951 * tf_erfinv(0.9544997361036416 * (2 * ops.rand(*{sizes.text(0)}) - 1))"
    return op.form(_type(op, f"({form})", op.dtype("dtype")), *sizes.operands)


@rule("ParameterizedTruncatedNormal", form="tf_truncated_normal", note=_STREAM)
def parameterized_truncated_normal(op: Op) -> Expression:
    """tf.random.truncated_normal between bounds, by the inverse of its distribution."""
    if any(op.shape(index) != () for index in range(1, 5)):
        raise NoForm("bounds that differ by row")
    sizes = op.sizes(0)
    at = len(sizes.operands)
    places = ", ".join(f"{{{at + index}}}" for index in range(4))
    form = _type(op, f"tf_truncated_normal({sizes.text(0)}, {places})", op.dtype("dtype"))
    return op.form(form, *sizes.operands, *(op.tensor(index) for index in range(1, 5)))


@rule("RandomGamma", form="tf_random_gamma", note=_STREAM)
def random_gamma(op: Op) -> Expression:
    """tf.random.gamma: draws of shape `shape` for each alpha, by Marsaglia and Tsang's method."""
    sizes = op.sizes(0)
    at = len(sizes.operands)
    return op.form(f"tf_random_gamma({sizes.text(0)}, {{{at}}})", *sizes.operands, op.tensor(1))


@rule("RandomPoissonV2", form="tf_random_poisson", note=f"{_STREAM}; counted from uniform draws, for rates up to 100")
def random_poisson(op: Op) -> Expression:
    """tf.random.poisson: draws of shape `shape` for each rate."""
    sizes = op.sizes(0)
    at = len(sizes.operands)
    form = f"tf_random_poisson({sizes.text(0)}, {{{at}}}).astype(ms.{op.dtype('dtype', 'int64')})"
    return op.form(form, *sizes.operands, op.tensor(1))


@rule("RandomShuffle", form="ops.shuffle", note=_STREAM)
def random_shuffle(op: Op) -> Expression:
    """tf.random.shuffle along the first axis."""
    return op.form("ops.gather({0}, ops.argsort(ops.rand({0}.shape[0])), 0)", op.tensor(0))


@rule("Multinomial", "StatelessMultinomial", form="argmax of logits and Gumbel noise", note=_STREAM)
def multinomial(op: Op) -> Expression:
    """tf.random.categorical: class numbers by their logits."""
    count = op.required_number(1, "the number of draws")
    return op.form(f"tf_categorical({{0}}, {count}).astype(ms.{op.dtype('output_dtype', 'int64')})", op.tensor(0))
