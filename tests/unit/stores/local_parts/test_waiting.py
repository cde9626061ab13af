"""What is known of a program from whether, and how, it answers HTTP."""

import socket
import threading

from tasks.stores.local_parts.waiting import http_status


def test_a_program_that_speaks_something_else_gives_no_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        other = threading.Thread(target=answer)
        other.start()
        assert http_status(f"http://127.0.0.1:{listener.getsockname()[1]}/") is None
        other.join()
