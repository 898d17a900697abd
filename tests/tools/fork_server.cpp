// Thousands of runs of one program without starting it thousands of times (two thirds of a short
// run are the loading of its libraries). Preloaded into a program, this stops it before its main
// function and waits for requests; each is a child process that goes on into main.
//
// A request is one line on standard input: words separated by tabs, which are the seconds that the
// run may take, the files for its standard output and error, and its arguments. The answer is one
// line on standard output: the status as waitpid gives it. See fork_server.py.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Main = int (*)(int, char**, char**);
Main program_main = nullptr;

void redirect(const std::string& path, int descriptor) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(127);
  close(file);
}

/// Becomes the run that a request asks for.
[[noreturn]] void become(std::vector<std::string>& words, char* program, char** environment) {
  setsid();
  alarm(static_cast<unsigned>(std::stoul(words[0])));  // SIGALRM ends it
  redirect(words[1], STDOUT_FILENO);
  redirect(words[2], STDERR_FILENO);
  redirect("/dev/null", STDIN_FILENO);
  std::vector<char*> arguments{program};
  for (std::size_t i = 3; i < words.size(); ++i) arguments.push_back(words[i].data());
  arguments.push_back(nullptr);
  std::exit(program_main(static_cast<int>(arguments.size()) - 1, arguments.data(), environment));
}

int serve(int /*argc*/, char** argv, char** environment) {
  unsetenv("LD_PRELOAD");
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<std::string> words;
    std::istringstream rest(line);
    for (std::string word; std::getline(rest, word, '\t');) words.push_back(word);
    const pid_t child = fork();
    if (child == 0) become(words, argv[0], environment);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    std::printf("%d\n", status);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

/// glibc's start of a program, in front of the real one.
extern "C" int __libc_start_main(Main main_function, int argc, char** argv, void (*init)(),
                                 void (*fini)(), void (*loader_fini)(), void* stack_end) {
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  program_main = main_function;
  const auto start = reinterpret_cast<Start>(dlsym(RTLD_NEXT, "__libc_start_main"));
  return start(serve, argc, argv, init, fini, loader_fini, stack_end);
}
