#define _GNU_SOURCE
#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int reference_spawn(const char *program, char *const arguments[], const char *log, int *process) {
    int output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (output < 0) return errno;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        int code = errno;
        close(output);
        return code;
    }
    if (child == 0) {
        // Between fork and exec only what is safe in a signal handler.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        // The threads of a pool block signals, and a program that starts so would never get its alarms.
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        execv(program, arguments);
        _exit(127);
    }
    close(output);
    *process = child;
    return 0;
}
