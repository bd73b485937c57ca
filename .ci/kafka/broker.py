"""A real Kafka of one node, on loopback and on ports that are free just now, for as long as a `with` lasts."""

import contextlib
import os
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# One node that is started and stopped often: quick to start rather than quick later.
JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
LOGGER = "-Dorg.slf4j.simpleLogger."
STARTS_WITHIN = 120
STOPS_WITHIN = 60


def java(libs, *arguments, level="error", classes=None):
    """The command that runs a class of Kafka's, or, with `classes`, one that was compiled there."""
    path = os.pathsep.join([*filter(None, [classes]), f"{libs}/*"])
    return ["java", *JVM, f"{LOGGER}defaultLogLevel={level}", "-cp", path, *arguments]


def compile_clients(libs, into):
    sources = [os.path.join(HERE, name) for name in sorted(os.listdir(HERE)) if name.endswith(".java")]
    subprocess.run(["javac", "-nowarn", "-proc:none", "-Xlint:-removal", "-XDsuppressNotes", "-cp", f"{libs}/*", "-d", into, *sources], check=True)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Broker:
    """Its directory `home` holds `data`, the log directory, beside what is Kafka's own."""

    def __init__(self, libs, home, settings=None):
        self.libs, self.home = libs, home
        self.data = os.path.join(home, "data")
        self.settings = settings or {}
        self.process = None
        self.starts = 0
        self.log = None
        os.makedirs(home, exist_ok=True)
        self.broker_port, self.controller_port = free_ports(2)
        self.address = f"127.0.0.1:{self.broker_port}"
        self._write_properties()
        format_it = ["kafka.tools.StorageTool", "format", "-c", self.properties, "-t", "YnJvb2tsZXQtdGVzdHMtMQ"]
        subprocess.run(java(libs, *format_it), check=True, stdout=subprocess.DEVNULL)

    def _write_properties(self):
        self.properties = os.path.join(self.home, "server.properties")
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}"
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.data,
            "metadata.log.dir": os.path.join(self.home, "metadata"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            **self.settings,
        }
        with open(self.properties, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in values.items())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Starts it, and waits until it takes connections: then all logs are loaded."""
        self.starts += 1
        self.log = os.path.join(self.home, f"broker-{self.starts}.log")
        with open(self.log, "wb") as log:
            command = java(self.libs, "kafka.Kafka", self.properties, level="info")
            # In a session of its own, so that a Ctrl-C ends it by us.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka does not start:\n{self.tail()}")
            time.sleep(0.05)

    def _is_up(self):
        with open(self.log, errors="replace") as log:
            return any("Kafka Server started" in line for line in log)

    def stop(self):
        """A controlled shutdown, as `kafka-server-stop` does it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired as late:
            raise RuntimeError(f"Kafka does not stop:\n{self.tail()}") from late
        self.process = None

    def kill(self):
        """`kill -9`, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def lines(self):
        with open(self.log, errors="replace") as log:
            return log.read().splitlines()

    def tail(self):
        return "\n".join(self.lines()[-40:])


def end_with_signals():
    """A SIGTERM ends the program as a Ctrl-C does, so that every `with` ends its broker."""

    def end(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


