"""The signals that end a process of ours in good order, beside Ctrl-C."""

import signal


def stop_signals() -> list[signal.Signals]:
    """Return SIGTERM, and SIGHUP (a closed terminal) unless whoever started this process has it ignored (`nohup`)."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGHUP]
