"""Bad input, help, memory and colours of `apb-explain`. Usage: explain_input_test.py PATH_OF_APB_EXPLAIN"""

import os
import pty
import re
import resource
import subprocess
import unittest

from explain_setting import Setting, main, program, run

BAD = [
    (["--tokens", "-1"], "--tokens"),
    (["--tokens", "2097153"], "--tokens"),
    (["--tokens", "many"], "many"),
    (["--tokens", "1.5"], "1.5"),
    (["--tokens", "99999999999999999999"], "--tokens"),
    (["--ranks", "0"], "num_ranks"),
    (["--ranks", "4097"], "num_ranks"),
    (["--ranks", "-3"], "num_ranks"),
    (["--anchor", "5"], "anchor_len"),
    (["--anchor", "-1"], "anchor_len"),
    (["--query", "-1"], "query_len"),
    (["--query", "3", "--convention", "official"], "embedded_query_len"),
    (["--convention", "mine"], "paper, official"),
    (["--query-insert-at", "1"], "query_insert_at"),
    (["--convention", "official", "--query-insert-at", "9"], "query_insert_at"),
    (["--keep", "-1"], "num_kept"),
    (["--keep", "1", "--compressor", "none"], "num_kept"),
    (["--compressor", "magic"], "query_aware"),
    (["--compressor", "query_aware", "--query", "0"], "compressor"),
    (["--pool", "2"], "pool_kernel"),
    (["--pool", "0"], "--pool"),
    (["--pool", "1001"], "--pool"),
    (["--seed", "-1"], "--seed"),
    (["--seed", "99999999999999999999"], "--seed"),
    (["--q-heads", "0"], "num_q_heads"),
    (["--q-heads", "3", "--kv-heads", "2"], "num_q_heads"),
    (["--head-dim", "0"], "head_dim"),
    (["--method", "ring"], "full, star or apb"),
    (["--method", "rings"], "full, ring, zigzag_ring"),
    (["--rank", "4"], "--rank"),
    (["--rank", "-1"], "--rank"),
    (["--block-lens", "1,2,x"], "x"),
    (["--block-lens", "4,-1"], "--block-lens"),
    (["--block-lens", "9223372036854775807,9223372036854775807"], "--block-lens"),
    (["--block-lens", "2097152,1"], "--block-lens"),
    (["--keep", "99999999999999999999"], "num_kept|--keep"),  # newer CLI11 refuses it first
    (["--block-lens", "4,4", "--ranks", "3"], "block_lens"),
    (["--block-lens", "4,4", "--tokens", "9"], "block_lens"),
    (["--element-bytes", "0"], "--element-bytes"),
    (["--tokens", "2097152", "--ranks", "1", "--q-heads", "1024", "--head-dim", "4096"], "doc_len"),
    (["--unknown"], "--unknown"),
    (["stray"], "stray"),
    (["--svg"], "--svg"),
]


class Input(unittest.TestCase):
    def test_long_documents_need_little_memory(self):
        run("--tokens", 131072, "--ranks", 8)
        peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(peak_kib, 300 * 1024)

    def test_bad_input(self):
        for arguments, named in BAD:
            with self.subTest(arguments=arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertTrue(result.stderr.startswith("apb-explain: "), result.stderr)
                self.assertRegex(result.stderr, named)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([program()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 3)
        self.assertEqual(result.stderr.count("\n"), 1)

    def test_help(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for name in vars(Setting()):
            self.assertIn("--" + name.replace("_", "-"), result.stdout)

    def on_terminal(self, environment):
        """What the program prints to a terminal."""
        ours, theirs = pty.openpty()
        with subprocess.Popen([program()], stdout=theirs, env=environment) as process:
            os.close(theirs)
            text = b""
            try:
                while piece := os.read(ours, 65536):
                    text += piece
            except OSError:  # Linux says so when the program has ended
                pass
        os.close(ours)
        self.assertEqual(process.returncode, 0)
        return text.decode().replace("\r\n", "\n")

    def test_colours(self):
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        plain = run(env=environment).stdout
        self.assertNotIn("\033", plain)
        coloured = self.on_terminal(environment)
        self.assertIn("\033[", coloured)
        bare = re.sub(r"\033\[\d+m", "", coloured)
        self.assertEqual([line.rstrip() for line in bare.split("\n")], plain.split("\n"))
        self.assertEqual(self.on_terminal(environment | {"NO_COLOR": "1"}), plain)


if __name__ == "__main__":
    main(__doc__)
