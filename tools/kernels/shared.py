"""Arrays and records that many kernels share, handed from kernel to kernel as one pointer.

A kernel that is handed an array is handed seven numbers, and LLVM lays them on the stack at every call that it does not
inline: with eight arrays that was half of a tick's time. `Shared` keeps the arrays' addresses and shapes in a table of
its own; what a kernel gets is the address of that table, and what it does not look at costs nothing.

    class Book(Shared):
        RECORDS = {"clock": CLOCK}            # one record each: `b.clock.now`
        ARRAYS = {"pool": (ORDER, 1)}         # dtype and dimensions, C order: `b.pool[slot].px`

Kernels only borrow: the arrays live as long as the object, and whoever puts others in makes another object. With the
JIT off the very same attributes are read from the object itself.

The arrays of a `Placed` lie in one piece of memory that is another one at every call: its table says how far from the
beginning each is, and a kernel is handed the piece as well.

From Python a kernel is handed the table's `address`, a plain integer, and looks at it with what `at_address` made: a
type of our own costs microseconds at every call, because the dispatcher asks Python what it is; an integer costs 0.13.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from weakref import WeakValueDictionary

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, intrinsic, models, register_model, typeof_impl, unbox

Array = npt.NDArray[Any]


if TYPE_CHECKING:

    class Record:
        """One row of a structured array, its fields read and written as attributes."""

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

else:
    Record = np.record

WORD: Final = 8  # bytes of everything in the table
HEAD: Final = 5  # words of an array before its shape: owner, parent, items, bytes of one, address
POINTER: Final = ir.IntType(8).as_pointer()
S = TypeVar("S", bound="Shared")
_alive: "WeakValueDictionary[int, Shared]" = WeakValueDictionary()  # by address: for Python, with the JIT off


class Shared:
    """Arrays and records under fixed names. Raises ValueError for arrays that are not what the class says."""

    RECORDS: ClassVar[Mapping[str, np.dtype[Any]]] = {}
    ARRAYS: ClassVar[Mapping[str, tuple[np.dtype[Any], int]]] = {}
    WORDS: ClassVar[Mapping[str, int]] = {}  # where in the table each array's words begin
    BASED: ClassVar[bool] = False
    _numba_type_: ClassVar["_SharedType"]

    def __init_subclass__(cls) -> None:
        """Every kind of table is a type of its own to the compiler."""
        places, at = {}, 0
        cls.WORDS = words = dict[str, int]()
        for name, dtype in cls.RECORDS.items():
            places[name] = (numba.from_dtype(dtype), at)
            at += WORD
        for name, (dtype, ndim) in cls.ARRAYS.items():
            places[name] = (types.Array(numba.from_dtype(dtype), ndim, "C"), at)
            words[name] = at // WORD
            at += WORD * (HEAD + 2 * ndim)
        kind = _PlacedType if cls.BASED else _SharedType
        cls._numba_type_ = kind(cls.__name__, tuple((name, *place) for name, place in places.items()))

    def __init__(self, given: Mapping[str, Array]) -> None:
        """`given`: an array for every name, of shape (1,) for a record."""
        words: list[int] = []
        for name, dtype in self.RECORDS.items():
            array = _right(name, given[name], dtype, 1)
            setattr(self, name, array[0])
            words.append(array.ctypes.data)
        for name, (dtype, ndim) in self.ARRAYS.items():
            array = _right(name, given[name], dtype, ndim)
            setattr(self, name, array)
            words += self.words_of(name, int(array.ctypes.data), array.shape)
        self._kept = [given[name] for name in self.RECORDS]
        self.table = np.array(words, np.int64)
        self.address = int(self.table.ctypes.data)
        if config.DISABLE_JIT:
            _alive[self.address] = self

    @classmethod
    def words_of(cls, name: str, address: int, shape: tuple[int, ...]) -> list[int]:
        """What the table says of an array at an address: C order, nobody's."""
        dtype, ndim = cls.ARRAYS[name]
        items, strides = 1, [dtype.itemsize]
        for many in reversed(shape):
            items *= many
            strides.append(strides[-1] * many)
        return [0, 0, items, dtype.itemsize, address, *shape, *reversed(strides[:ndim])]


def _right(name: str, array: Array, dtype: np.dtype[Any], ndim: int) -> Array:
    if array.dtype != dtype or array.ndim != ndim or not (array.flags.c_contiguous and array.flags.writeable):
        raise ValueError(f"{name}: {array.dtype} in {array.ndim} dimensions, not {dtype} in {ndim}")
    return array


class _SharedType(types.Type):  # type: ignore[misc]
    def __init__(self, name: str, fields: tuple[tuple[str, Any, int], ...]) -> None:
        self.places = {each: (kind, offset) for each, kind, offset in fields}
        super().__init__(name=f"{name}_{hashlib.blake2b(repr(fields).encode(), digest_size=8).hexdigest()}")


class _PlacedType(_SharedType):
    """Two pointers: the table, and where offsets count from."""


class Placed(Shared):
    """Arrays under fixed names in one piece of memory, each at its offset from the beginning."""

    BASED = True


@register_model(_PlacedType)
class _PlacedModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("table", types.voidptr), ("base", types.voidptr)])


@register_model(_SharedType)
class _SharedModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, POINTER)


@typeof_impl.register(Shared)  # type: ignore[untyped-decorator]
def _typeof(value: Shared, context: Any) -> Any:
    return value._numba_type_


@unbox(_SharedType)  # type: ignore[untyped-decorator]
def _unboxed(kind: Any, value: Any, context: Any) -> Any:
    boxed = context.pyapi.object_getattr_string(value, "address")
    address = context.unbox(types.intp, boxed)
    context.pyapi.decref(boxed)
    return NativeValue(context.builder.inttoptr(address.value, POINTER), is_error=address.is_error)


@unbox(_PlacedType)  # type: ignore[untyped-decorator]
def _unboxed_place(kind: Any, value: Any, context: Any) -> Any:
    """The object itself from Python: its table tells addresses, counted from nothing."""
    table = _unboxed(kind, value, context)
    made = cgutils.create_struct_proxy(kind)(context.context, context.builder)
    made.table, made.base = table.value, cgutils.get_null_value(POINTER)
    return NativeValue(made._getvalue(), is_error=table.is_error)


class _Attributes(AttributeTemplate):  # type: ignore[misc]
    def generic_resolve(self, kind: Any, name: str) -> Any:
        """The compiler's type of an attribute; None: there is none of that name."""
        found = kind.places.get(name)
        return None if found is None else found[0]


@infer_getattr
class _SharedAttributes(_Attributes):
    key = _SharedType


@infer_getattr
class _PlacedAttributes(_Attributes):
    key = _PlacedType


@lower_getattr_generic(_PlacedType)  # type: ignore[untyped-decorator]
@lower_getattr_generic(_SharedType)  # type: ignore[untyped-decorator]
def _attribute(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    """What stands in the table under a name: the address of a record, or an array as numba lays it out.

    No kernel writes into the table, so what is loaded from it holds whatever is stored elsewhere (LLVM's
    invariant.load), and what follows from the type is a constant.
    """
    wanted, offset = kind.places[name]
    base = None
    if isinstance(kind, _PlacedType):
        both = cgutils.create_struct_proxy(kind)(context, builder, value)
        value, base = both.table, both.base

    def word(at: int, kind_of_word: Any) -> Any:
        place = builder.gep(value, [context.get_constant(types.intp, offset + WORD * at)])
        loaded = builder.load(builder.bitcast(place, kind_of_word.as_pointer()))
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    def begin(kind_of_pointer: Any) -> Any:
        if base is None:
            return word(4, kind_of_pointer)
        return builder.bitcast(builder.gep(base, [word(4, context.get_value_type(types.intp))]), kind_of_pointer)

    if isinstance(wanted, types.Record):
        return word(0, context.get_value_type(wanted))
    return _array(context, builder, wanted, word, begin)


def _array(context: Any, builder: Any, kind: Any, word: Any, begin: Any) -> Any:
    array, number = context.make_array(kind)(context, builder), context.get_value_type(types.intp)
    itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    if isinstance(kind.dtype, types.Record):
        itemsize = kind.dtype.size
    last = kind.ndim - 1
    shape = [word(HEAD + n, number) for n in range(kind.ndim)]
    strides = [word(HEAD + kind.ndim + n, number) for n in range(last)]
    strides.append(context.get_constant(types.intp, itemsize))
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    array.nitems = shape[0] if kind.ndim == 1 else word(2, number)
    array.itemsize = context.get_constant(types.intp, itemsize)
    array.data = begin(array.data.type)
    array.shape = cgutils.pack_array(builder, shape)
    array.strides = cgutils.pack_array(builder, strides)
    return array._getvalue()


def at_address(kind: type[S]) -> Callable[[int], S]:
    """For kernels that Python calls: the table of this kind at an address."""
    if config.DISABLE_JIT:

        def found(address: int) -> S:
            table: Any = _alive[address]
            return table  # type: ignore[no-any-return]

        return found

    @intrinsic  # type: ignore[untyped-decorator]
    def pointed(context: Any, address: Any) -> Any:
        """The very same number, of another type."""

        def generate(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], POINTER)

        return kind._numba_type_(types.int64), generate

    made: Callable[[int], S] = pointed
    return made


P = TypeVar("P", bound=Placed)


def at_places(kind: type[P]) -> Callable[[int, Array], P]:
    """For kernels that Python calls: the table of this kind at an address, over a piece of memory (n,) uint8."""
    if config.DISABLE_JIT:

        def found(address: int, body: Array) -> P:
            table: Any = _alive[address]
            return table  # type: ignore[no-any-return]

        return found

    @intrinsic  # type: ignore[untyped-decorator]
    def pointed(context: Any, address: Any, body: Any) -> Any:
        """Both pointers, in one value of the table's type."""

        def generate(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            made = cgutils.create_struct_proxy(kind._numba_type_)(ctx, builder)
            piece = ctx.make_array(signature.args[1])(ctx, builder, args[1])
            made.table = builder.inttoptr(args[0], POINTER)
            made.base = builder.bitcast(piece.data, POINTER)
            return made._getvalue()

        return kind._numba_type_(types.int64, body), generate

    made: Callable[[int, Array], P] = pointed
    return made
