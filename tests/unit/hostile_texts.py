"""OpenQASM texts that were written to do harm, each read in a process of its own that has little time and memory.

Started as a program it answers each name of a text, a line, by a line of JSON.
"""

import json
import os
import resource
import sys

from tasks.backends.qubits.parsing import parse

HEAD2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\n'
HEAD3 = 'OPENQASM 3;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
WIDE3 = 'OPENQASM 3;\ninclude "stdgates.inc";\nqubit[12] q;\nbit[12] c;\n'
ALL12 = ",".join(f"q[{qubit}]" for qubit in range(12))
CPU_SECONDS = 10
MEMORY = 4 << 30
LONGEST = 60_000


def chain(rounds: int, body: str, head: str = "gate g0 a { x a; }\n") -> str:
    """Return gates that are each made of the one before."""
    return head + "".join(f"gate g{n} {body.replace('PREV', f'g{n - 1}')}\n" for n in range(1, rounds))


REFUSED = {
    "for of more rounds than 64 bits count": HEAD3 + "for int i in [0:99999999999999999999999999999] { x q[0]; }",
    "for of 10^9 rounds": HEAD3 + "for int i in [0:1000000000] { x q[0]; }",
    "for of 10^9 rounds that do nothing": HEAD3 + "for int i in [0:1000000000] { }",
    "for of no rounds within one of 10^9": HEAD3 + "for int i in [0:1000000000] { for int j in [1:0] { } }",
    "loops whose rounds are known late": HEAD3 + "for int i in [0:29999] { for int j in [i-i:29999] { } }",
    "blocks in such loops": HEAD3
    + "for int i in [0:9] { for int j in [i-i:9] { "
    + "for int k in [j-j:9] { " * 9
    + "{ }"
    + "}" * 11,
    "for of no step": HEAD3 + "for int i in [0:0:10] { x q[0]; }",
    "for as an index beyond": HEAD3 + "for int i in [0:2] { x q[i]; }",
    "for of functions": HEAD3 + "for int i in [0:9] { rx(sin(i)) q[0]; }",
    "while that never ends": HEAD3 + "while (c[0] == false) { x q[0]; }",
    "while of a plain bit": HEAD3 + "while (!c[0]) { c[1] = measure q[0]; }",
    "powers of powers": HEAD3 + "rx(9**9**9**9) q[0];",
    "powers of powers in a size": HEAD3 + "bit[9**9**9] d;",
    "powers of powers, OpenQASM 2": HEAD2 + "rx(9^9^9^9) q[0];",
    "long sums": HEAD3 + ("rx(" + "+".join(["1"] * 1900) + ") q[0];\n") * 100,
    "long differences": HEAD3 + ("rx(" + "-".join(["pi"] * 1900) + ") q[0];\n") * 3,
    "signs": HEAD3 + "rx(" + "-" * 1900 + "1) q[0];",
    "else if": HEAD3 + "if (c[0]) { x q[0]; } else " * 400 + "{ x q[1]; }",
    "gates of gates, doubled": HEAD3 + chain(31, "a { PREV a; PREV a; }") + "g30 q[0];",
    "gates of gates, doubled, OpenQASM 2": HEAD2 + chain(40, "a { PREV a; PREV a; }") + "g39 q[0];",
    "gates of gates, one by one": HEAD3 + chain(400, "a { PREV a; }") + "g399 q[0];",
    "gates of gates, inverted": HEAD3 + chain(300, "a { inv @ PREV a; }") + "inv @ g299 q[0];",
    "gates of gates, one by one, OpenQASM 2": HEAD2 + chain(5000, "a { PREV a; }") + "g4999 q[0];",
    "a division by nought in a gate": HEAD2 + "gate g(t) a { rx(1/t) a; }\ng(0) q[0];",
    "u0 of a great number": HEAD2 + "u0(99999999999999) q[0];",
    "an index beyond 64 bits": HEAD2 + "x q[99999999999999999999999];",
    "an index beyond 64 bits in OpenQASM 3": HEAD3 + "x q[99999999999999999999999];",
    "a number that ends in an exponent": "OPENQASM 3;\nqubit q;\nU(1e_,0,0) q;",
    "a physical qubit of 5000 digits": "OPENQASM 3;\nbit c;\nU(0,0,0) $" + "0" * 5000 + "1;",
    "a comment ended by a return: include": HEAD3 + '// \rinclude "/etc/passwd";\n',
    "a comment ended by a return: depth": HEAD3 + "// \rrx(" + "(" * 5000 + "1" + ")" * 5000 + ") q[0];\n",
    "a comment ended by a return: statements": HEAD3 + "// \r" + "x q[0];" * 60_000 + "\n",
    "a comment ended by a return: subroutine": HEAD3 + "// \rdef f(qubit a) { h a; }\n",
    "a comparison with a negative number": HEAD3 + "if (c == -1) x q[0];",
    "a cast": HEAD3 + "rx(float(1)) q[0];",
    "sizeof": HEAD3 + "rx(sizeof(q)) q[0];",
    "an imaginary angle": HEAD3 + "rx(1im) q[0];",
    "a function": HEAD3 + "rx(arccos(2)) q[0];",
    "a power beyond numbers": HEAD3 + "pow(1e300*1e300) @ x q[0];",
    "a power beyond what numbers resolve": HEAD3 + "pow(999999999999999999) @ h q[0];",
    "many sums": HEAD3 + ("rx(" + "+".join(["1"] * 60) + ") q[0];\n") * 2000,
    "many brackets": HEAD3 + ("rx(" + "(1*" * 60 + "1" + ")" * 60 + ") q[0];\n") * 1000,
    "wide gates of wide gates": HEAD2
    + "gate g0 a { "
    + "h a; " * 20_000
    + "}\ngate g1 a { "
    + "g0 a; " * 20_000
    + "}\ng1 q[0];\n",
    "powers of large gates": WIDE3
    + "gate g a,b,d,e,f { h a; cx a,b; }\n"
    + "pow(0.5) @ g q[0],q[1],q[2],q[3],q[4];\n" * 9000,
    "controls of powers": WIDE3 + "ctrl(4) @ pow(0.37) @ h q[0],q[1],q[2],q[3],q[4];\n" * 500,
    "ctrl of 1000": HEAD3 + "ctrl(1000) @ x q[0], q[1];",
    "ctrl of less than none": HEAD3 + "ctrl(-1) @ x q[0];",
    "controls of controls": WIDE3 + f"ctrl(11) @ u3(0.1,0.2,0.3) {ALL12};\n" * 800,
    "breaks after one another": HEAD3 + "for int i in [0:20] { " + "if (c[0]) { break; } x q[0]; " * 300 + "}",
    "breaks after one another, many rounds": HEAD3
    + "for int i in [0:150] { "
    + "if (c[0]) { break; } x q[0]; " * 60
    + "}",
    "copies of large registers": HEAD3 + "bit[2000] a; bit[2000] b;" + "a = b;" * 40,
    "powers of powers in constants": HEAD3
    + "".join(f"const int n{n} = {f'n{n - 1}' if n else 2} ** 9;" for n in range(9)),
    "numbers of too many bits": HEAD3 + "".join(f"int[64] n{n};" for n in range(500)),
    "a shift beyond numbers": HEAD3 + "const int n = 1 << 99999999999;",
    "a gate on 900 qubits": WIDE3 + "gate g " + ",".join(f"p{n}" for n in range(900)) + " { x p0; }\n"
    "g " + ",".join(f"q[{n % 12}]" for n in range(900)) + ";",
    "a million qubits": "OPENQASM 3;\nqubit[1000000] q;",
    "a million qubits in parts": "OPENQASM 2.0;\n" + "".join(f"qreg q{n}[1000000];\n" for n in range(50)),
    "100,000 lines": HEAD3 + "x q[0];\n" * 100_000,
    "100,000 lines, OpenQASM 2": HEAD2 + "x q[0];\n" * 100_000,
    "a text in quotes as an angle": HEAD3 + 'rx("/etc/passwd") q[0];',
    "include in capitals": HEAD3 + 'INCLUDE "/etc/passwd";',
    "an alias that doubles": HEAD3
    + "let a0 = q;\n"
    + "".join(f"let a{n} = a{n - 1} ++ a{n - 1};\n" for n in range(1, 40)),
    "invisible tags": HEAD3 + "// \U000e0041\U000e0042\n",
}
"""What has to be refused, with the name of what it does."""

ACCEPTED = {
    "10,000 empty blocks": HEAD3 + "{}" * 10_000,
    "as many statements as there may be": HEAD3 + "x q[0];\n" * 5_990,
    "as many statements as there may be, with ranges": HEAD3 + "cx q[0:0],q[1:1];\n" * 5_990,
    "branches without braces": HEAD3 + "if (c[0]) x q[0];\n" * 2_900,
    "for as an index": HEAD3 + "for int i in [0:1] { x q[i]; }",
    "broadcasts": WIDE3 + "h q;\n" * 2_400,
    "60 brackets": HEAD3 + "rx(" + "(" * 60 + "1" + ")" * 60 + ") q[0];",
    "returns as line ends": (HEAD3 + "// a comment\nx q[0];\n").replace("\n", "\r\n"),
}
"""What may come through, in the same time and memory."""


def look(name: str) -> dict[str, object]:
    """Read one text in a child process."""
    text = (REFUSED | ACCEPTED)[name]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            found = parse(text, 12)
            marks = [str(mark) for mark in (*found.marks, *found.too_costly)]
            answer: dict[str, object] = {"taken": found.circuit is not None, "marks": marks}
        except BaseException as error:  # noqa: BLE001 - nothing at all may get out
            answer = {"raised": f"{type(error).__name__}: {error}"}
        os.write(writer, json.dumps(answer).encode()[:LONGEST])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        answered = stream.read()
    _, status, used = os.wait4(child, 0)
    answer = json.loads(answered) if answered else {"died": status}
    return answer | {"cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(look(line.rstrip("\n"))) + "\n")
        sys.stdout.flush()
