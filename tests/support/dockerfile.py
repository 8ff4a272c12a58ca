"""A Dockerfile carried out without a container engine, its paths below a directory.

Owns the reading of instructions and how each is carried out there. What a build fetches or asks of root is left to
programs that the caller puts in front of the path. Knows nothing of authsrv.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of the file, its continued lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return self.text.split()

    @property
    def command(self) -> list[str]:
        """The exec form; `HEALTHCHECK` has options and a word before it."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a file in order, without comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name:
            yield Instruction(name, rest.strip())


@dataclass
class Build:
    """`root` stands for the root directory of every stage. `context` is what `.dockerignore` leaves.

    `programs` are found before all others. `inside` matches the container's own paths in a text. The rest is what the
    image says of a container.
    """

    context: Path
    root: Path
    programs: Path
    inside: re.Pattern[str]
    handed_on: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def carry_out(self, text: str) -> None:
        """Every instruction; an unknown one is a KeyError, a step that fails an AssertionError."""
        steps = {
            "FROM": self._from,
            "ENV": self._env,
            "WORKDIR": self._workdir,
            "COPY": self._copy,
            "RUN": self._run,
            "USER": self._user,
            "VOLUME": self._volume,
            "EXPOSE": lambda _: None,
            "ENTRYPOINT": self._entrypoint,
            "CMD": self._cmd,
            "HEALTHCHECK": self._healthcheck,
        }
        found = list(instructions(text))
        self.handed_on = [one.words[1] for one in found if one.name == "COPY" and one.text.startswith("--from=")]
        for instruction in found:
            steps[instruction.name](instruction)

    def below(self, path: str) -> Path:
        """Where a path of the container is here."""
        return self.root / path.lstrip("/")

    def mapped(self, text: str) -> str:
        """A text in which the container's own paths are those below `root`."""
        return self.inside.sub(lambda found: str(self.below(found[0])), text)

    def container(self) -> dict[str, str]:
        """The environment of a container: that of the image, and nothing of ours."""
        return {name: self.mapped(value) for name, value in self.environment.items()}

    def start(self, command: Sequence[str]) -> Sequence[str]:
        """A container's command with the paths as they are here."""
        return [self.mapped(word) for word in command]

    def _from(self, _: Instruction) -> None:
        """A new stage has nothing of the one before but what it copies from there, which keeps its place."""
        self.environment = {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        self.workdir = "/"
        aside = Path(tempfile.mkdtemp(dir=self.root.parent))
        handed_on = [path for path in self.handed_on if self.below(path).exists()]
        for number, path in enumerate(handed_on):
            self.below(path).rename(aside / str(number))
        shutil.rmtree(self.root)
        for number, path in enumerate(handed_on):
            self.below(path).parent.mkdir(parents=True)
            (aside / str(number)).rename(self.below(path))
        self.root.mkdir(exist_ok=True)

    def _env(self, instruction: Instruction) -> None:
        for word in instruction.words:
            name, _, value = word.partition("=")
            self.environment[name] = value.replace("$PATH", self.environment["PATH"])

    def _workdir(self, instruction: Instruction) -> None:
        self.workdir = instruction.text
        self.below(self.workdir).mkdir(parents=True, exist_ok=True)

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = [word for word in instruction.words if not word.startswith("--")]
        if instruction.text.startswith("--from="):
            assert sources == [target], "programs in it know where they stand"
            assert self.below(target).exists(), "the stage before did not make it"
            return
        place = self.below(os.path.normpath(Path(self.workdir, target)))
        for source in sources:
            _copy(self.context / source, place / source if target.endswith("/") else place)

    def _run(self, instruction: Instruction) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", self.mapped(instruction.text)],
            cwd=self.below(self.workdir),
            env=self.container(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{instruction.text}\n{done.stdout}{done.stderr}"

    def _user(self, instruction: Instruction) -> None:
        self.user = instruction.text

    def _volume(self, instruction: Instruction) -> None:
        self.volumes += instruction.words

    def _entrypoint(self, instruction: Instruction) -> None:
        self.entrypoint = instruction.command

    def _cmd(self, instruction: Instruction) -> None:
        self.cmd = instruction.command

    def _healthcheck(self, instruction: Instruction) -> None:
        self.healthcheck = instruction.command


def context(project: Path, directory: Path) -> Path:
    """The project as `docker build` would send it: a file that takes everything out, and names what comes back."""
    patterns = (project / ".dockerignore").read_text("utf-8").split("\n")
    lines = [line for line in patterns if line and not line.startswith("#")]
    assert lines[0] == "*", "everything that nobody named would be sent"
    never = shutil.ignore_patterns(*(line.removeprefix("**/") for line in lines if line.startswith("**/")))
    for name in (line[1:] for line in lines if line.startswith("!")):
        _copy(project / name, directory / name, never)
    return directory


def scripts(directory: Path, programs: Mapping[str, str]) -> Path:
    """A directory of programs, each a shell script."""
    directory.mkdir()
    for name, text in programs.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        program.chmod(0o755)
    return directory


def _copy(source: Path, target: Path, ignore: Callable[[str, list[str]], set[str]] | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore)
    else:
        shutil.copy2(source, target)
