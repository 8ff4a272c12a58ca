"""Records behave as the standard library's frozen dataclasses with slots do."""

import copy
import dataclasses
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from authsrv import records


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """As the standard library makes it."""

    name: str
    secret: str = dataclasses.field(default="", repr=False)
    tags: list[str] = dataclasses.field(default_factory=list)
    noted: str = dataclasses.field(default="", compare=False)


@records.dataclass(frozen=True, slots=True)
class Record:
    """As the server makes it."""

    name: str
    secret: str = dataclasses.field(default="", repr=False)
    tags: list[str] = dataclasses.field(default_factory=list)
    noted: str = dataclasses.field(default="", compare=False)


@records.dataclass(frozen=True, slots=True)
class Child(Record):
    """A record that is another with more in it."""

    age: int = 0


@records.dataclass(frozen=True, slots=True)
class Empty:
    """Nothing."""


@records.dataclass(frozen=True, slots=True)
class One:
    """One field."""

    value: int


@records.dataclass(frozen=True, slots=True)
class Spoken:
    """A record with words of its own."""

    value: int

    def __repr__(self) -> str:
        return "spoken"


PACKAGE = Path(records.__file__).parent
BOTH = pytest.mark.parametrize("made", [Standard, Record])


@BOTH
def test_fields_are_given_by_place_by_name_or_by_default(made: Any) -> None:
    one = made("amber", noted="today")
    assert (one.name, one.secret, one.tags, one.noted) == ("amber", "", [], "today")


def test_its_signature_can_be_read_before_there_is_an_object() -> None:
    @records.dataclass(frozen=True, slots=True)
    class New:
        """Nobody has made one."""

        name: str
        age: int = 0

    given = inspect.signature(New).parameters
    assert {name: (one.annotation, one.default) for name, one in given.items()} == {
        "name": (str, inspect.Parameter.empty),
        "age": (int, 0),
    }
    assert New("amber") == New(name="amber", age=0)


@BOTH
def test_each_object_has_a_list_of_its_own(made: Any) -> None:
    assert made("a").tags is not made("b").tags


@BOTH
@pytest.mark.parametrize(("given", "named"), [((), {}), (("a", "b", [], "c", "d"), {}), (("a",), {"age": 1})])
def test_wrong_arguments_are_refused_with_the_name_of_the_class(
    made: Any, given: tuple[Any, ...], named: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=rf"{made.__name__}.__init__\(\)"):
        made(*given, **named)


@BOTH
def test_nothing_can_be_changed_added_or_deleted(made: Any) -> None:
    one = made("amber")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "blue"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        one.other = 1
    assert not hasattr(one, "__dict__")
    assert one.name == "amber"


@BOTH
def test_equal_are_objects_of_one_class_whose_compared_fields_are(made: Any) -> None:
    assert made("a", noted="x") == made("a", noted="y")
    assert made("a") != made("b")
    assert made("a", tags=["x"]) != made("a")
    assert made("a") != ("a", "", [], "")


def test_a_record_never_equals_one_of_another_class() -> None:
    others: list[object] = [Standard("a"), Child("a"), ("a", "", [], "")]
    assert Record("a") not in others
    assert object() != One(1)


def test_equal_records_have_one_hash() -> None:
    assert {One(1), One(1), One(2)} == {One(1), One(2)}
    assert len({Empty(), Empty()}) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(Record("a"))


@BOTH
def test_its_text_shows_no_field_that_is_not_to_be_shown(made: Any) -> None:
    assert repr(made("amber", "hush")) == f"{made.__name__}(name='amber', tags=[], noted='')"


def test_words_of_its_own_stay() -> None:
    assert repr(Spoken(1)) == "spoken"


@BOTH
def test_the_library_s_functions_work(made: Any) -> None:
    one = made("amber", tags=["x"])
    assert dataclasses.replace(one, name="blue").name == "blue"
    assert [field.name for field in dataclasses.fields(made)] == ["name", "secret", "tags", "noted"]
    assert dataclasses.asdict(one) == {"name": "amber", "secret": "", "tags": ["x"], "noted": ""}


@BOTH
def test_it_can_be_copied_and_pickled(made: Any) -> None:
    one = made("amber", tags=["x"])
    assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own


def test_it_can_be_taken_apart_by_match() -> None:
    match Record("amber"):
        case Record(name, _):
            assert name == "amber"


def test_a_record_inherits_the_fields_of_another() -> None:
    child = Child("amber", age=7)
    assert (child.name, child.tags, child.age) == ("amber", [], 7)
    assert repr(child) == "Child(name='amber', tags=[], noted='', age=7)"
    assert Record("amber").tags == []


@pytest.mark.parametrize("how", [{"frozen": False, "slots": True}, {"frozen": True, "slots": False}])
def test_a_class_that_can_change_or_has_no_slots_is_not_made_here(how: dict[str, bool]) -> None:
    with pytest.raises(TypeError, match="frozen and has slots"):
        records.dataclass(**how)


def test_a_module_whose_classes_could_all_be_records_has_records() -> None:
    """But for what the verifier needs: a backend installs it for two libraries and nothing of the server."""
    verifier = {PACKAGE / "compact_jws.py", PACKAGE / "strict_json.py", *(PACKAGE / "verify").rglob("*.py")}
    dear = [path for path in set(PACKAGE.rglob("*.py")) - verifier if is_dear(path.read_text(encoding="utf-8"))]
    assert dear == []


def is_dear(source: str) -> bool:
    made = [line.partition("  #")[0] for line in source.splitlines() if line.startswith("@dataclass")]
    theirs = re.search(r"^from dataclasses import .*\bdataclass\b", source, re.MULTILINE)
    return bool(theirs) and set(made) == {"@dataclass(frozen=True, slots=True)"}


def test_no_signature_is_written_for_a_record_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library would, which takes longer than everything else about a record."""
    monkeypatch.setattr(inspect, "signature", None)

    @records.dataclass(frozen=True, slots=True)
    class Silent:
        value: int

    assert (Silent.__doc__, Spoken.__doc__) == ("Silent", "A record with words of its own.")
