/* Holds a program at one kind of system call on one path, so that a test finds it in a phase that
 * otherwise takes a moment. Loaded with LD_PRELOAD; says so in the file `reached`, and goes on
 * when there is a file `go`. See hold.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

/* System calls are made directly, since the functions are the ones that are held. */
static int exists(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static void hold(const char *call, const char *path) {
    const char *folder = setting("HOLD_FOLDER"), *wanted = setting("HOLD_PATH");
    if (!*folder || strcmp(setting("HOLD_CALL"), call) || !strstr(path, wanted)) return;
    char reached[4096];
    snprintf(reached, sizeof reached, "%s/reached", folder);
    int file = syscall(SYS_openat, AT_FDCWD, reached, O_CREAT | O_WRONLY, 0600);
    if (file >= 0) syscall(SYS_close, file);
    struct timespec moment = {0, 1000000};
    while (!exists(folder, "go")) nanosleep(&moment, NULL);
}

static void hold_file(const char *call, int file) {
    if (strcmp(setting("HOLD_CALL"), call)) return;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    hold(call, path);
}

#define OPEN(name)                                                    \
    int name(const char *path, int flags, ...) {                      \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        int mode = va_arg(rest, int);                                 \
        va_end(rest);                                                 \
        hold("open", path);                                           \
        int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
        return next(path, flags, mode);                               \
    }

#define OPENAT(name)                                                       \
    int name(int at, const char *path, int flags, ...) {                   \
        va_list rest;                                                      \
        va_start(rest, flags);                                             \
        int mode = va_arg(rest, int);                                      \
        va_end(rest);                                                      \
        hold("open", path);                                                \
        int (*next)(int, const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
        return next(at, path, flags, mode);                                \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t size) {
    hold_file("write", file);
    ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    return next(file, bytes, size);
}

int fsync(int file) {
    hold_file("sync", file);
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
    return next(file);
}

int link(const char *from, const char *to) {
    hold("link", to);
    int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "link");
    return next(from, to);
}

int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    hold("link", to);
    int (*next)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    return next(at, from, to_at, to, flags);
}
