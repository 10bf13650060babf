// faults.c: preloaded (LD_PRELOAD) into the program or the server by a test: calls that fail, or take
// long, for files of a name; clocks that jump; memory that runs out. Rules stand in a page shared with the
// test (Faults.pm), which may change them at any time:
//
//   "!" then lines of: CALL <tab> PART OF THE PATH <tab> CALLS TO LET PASS <tab> WHAT
//
// WHAT is an errno, "+MS" for a delay after which all is well, or "=" for nothing but being counted. Of
// pwrite, "/": half is written, the rest when the rules are taken away. Of pread, "~": a byte in the first
// page is not what the file holds, in one call of each process.
// For `clock` it is the seconds the day's time is off; for `malloc` the size from which it fails, and the
// part of the path is one of the process's title. Each strike adds a byte to FAULTS_STRUCK.
//
// All calls are made by syscall(2): nothing is looked up, nothing allocated, no lock taken.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { kPageSize = 4096, kRulesMax = 8, kPathMax = 4096 };

static const char *page;
// A copy: a server writes its title over the environment.
static char struck_path[kPathMax];
static atomic_long calls[kRulesMax];  // of this process, by rule

__attribute__((constructor)) static void open_page(void) {
  const char *path = getenv("FAULTS");
  const char *struck = getenv("FAULTS_STRUCK");
  if (struck != NULL) strncpy(struck_path, struck, sizeof(struck_path) - 1);
  if (path == NULL) return;
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return;
  void *mapped = mmap(NULL, kPageSize, PROT_READ, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (mapped != MAP_FAILED) page = mapped;
}

// Copies the next field; returns what follows it.
static const char *take_field(const char *from, char *to, size_t room) {
  size_t length = strcspn(from, "\t\n");
  size_t copied = length < room - 1 ? length : room - 1;
  memcpy(to, from, copied);
  to[copied] = '\0';
  return from[length] == '\t' ? from + length + 1 : from + length;
}

static void note_strike(void) {
  if (struck_path[0] == '\0') return;
  int file = (int)syscall(SYS_openat, AT_FDCWD, struck_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  if (file < 0) return;
  syscall(SYS_write, file, ".", 1);
  syscall(SYS_close, file);
}

// What the rules want of a call: true and the text of WHAT, counted.
static int wanted(const char *call, const char *path, char *what, size_t room) {
  if (page == NULL || page[0] != '!') return 0;
  const char *at = page + 1;
  for (int rule = 0; rule < kRulesMax && *at != '\0'; ++rule) {
    char name[32], part[256], passes[32];
    at = take_field(at, name, sizeof(name));
    at = take_field(at, part, sizeof(part));
    at = take_field(at, passes, sizeof(passes));
    at = take_field(at, what, room);
    if (*at == '\n') ++at;
    if (strcmp(name, call) != 0 || strstr(path, part) == NULL) continue;
    long passed = atomic_fetch_add(&calls[rule], 1) - atol(passes);
    if (passed < 0 || (passed > 0 && what[0] == '~')) continue;
    return 1;
  }
  return 0;
}

enum Strike { kNone, kFails, kHalf, kAltered };

// What the call shall do; errno is set if it shall fail.
static enum Strike strikes(const char *call, const char *path) {
  int kept = errno;
  char what[32];
  if (!wanted(call, path, what, sizeof(what))) return kNone;
  note_strike();
  errno = kept;
  if (what[0] == '=') return kNone;
  if (what[0] == '/') return kHalf;
  if (what[0] == '~') return kAltered;
  if (what[0] == '+') {
    long ms = atol(what + 1);
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
    while (syscall(SYS_nanosleep, &rest, &rest) != 0 && errno == EINTR) {
    }
    errno = kept;
    return kNone;
  }
  errno = atoi(what);
  return kFails;
}

static enum Strike strikes_file(const char *call, int file) {
  if (page == NULL || page[0] != '!') return kNone;
  int kept = errno;
  char link[32] = "/proc/self/fd/", digits[16], path[kPathMax];
  int at = 0;
  for (unsigned rest = (unsigned)file; at == 0 || rest > 0; rest /= 10) digits[at++] = (char)('0' + rest % 10);
  for (char *to = link + strlen(link); at > 0;) *to++ = digits[--at];
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
  errno = kept;
  if (length < 0) return kNone;
  path[length] = '\0';
  return strikes(call, path);
}

// openat2(2) has no function of its own in the library: what goes by syscall(2) passes here, this file's own
// calls too.
static long raw_call(long number, const long *arguments) {
#if defined(__x86_64__)
  register long fourth __asm__("r10") = arguments[3], fifth __asm__("r8") = arguments[4],
                sixth __asm__("r9") = arguments[5];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(fourth),
                     "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long result __asm__("x0") = arguments[0], second __asm__("x1") = arguments[1],
                third __asm__("x2") = arguments[2], fourth __asm__("x3") = arguments[3],
                fifth __asm__("x4") = arguments[4], sixth __asm__("x5") = arguments[5],
                called __asm__("x8") = number;
  __asm__ volatile("svc #0"
                   : "+r"(result)
                   : "r"(called), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "memory");
#endif
  return result;
}

long syscall(long number, ...) {
  long arguments[6];
  va_list more;
  va_start(more, number);
  for (int index = 0; index < 6; ++index) arguments[index] = va_arg(more, long);
  va_end(more);
  if (number == SYS_openat2 && strikes("open", (const char *)arguments[1])) return -1;
  long result = raw_call(number, arguments);
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

static int open_at(int directory, const char *path, int flags, va_list more) {
  int mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(more, int) : 0;
  if (strikes("open", path)) return -1;
  return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define OPEN(name, declared, directory)                \
  int name(declared const char *path, int flags, ...) { \
    va_list more;                                      \
    va_start(more, flags);                             \
    int file = open_at(directory, path, flags, more);  \
    va_end(more);                                      \
    return file;                                       \
  }
#define DIRECTORY int at,
OPEN(open, , AT_FDCWD)
OPEN(open64, , AT_FDCWD)
OPEN(openat, DIRECTORY, at)
OPEN(openat64, DIRECTORY, at)

#define CALL(result, name, called, declared, ...)             \
  result name declared {                                      \
    return strikes_file(called, file) ? -1 : (result)syscall(__VA_ARGS__); \
  }
CALL(ssize_t, write, "write", (int file, const void *bytes, size_t size), SYS_write, file, bytes, size)
CALL(int, fsync, "fsync", (int file), SYS_fsync, file)
CALL(int, fdatasync, "fdatasync", (int file), SYS_fdatasync, file)
CALL(int, syncfs, "syncfs", (int file), SYS_syncfs, file)
CALL(int, ftruncate, "ftruncate", (int file, off_t length), SYS_ftruncate, file, length)
CALL(int, ftruncate64, "ftruncate", (int file, off64_t length), SYS_ftruncate, file, length)
CALL(int, fallocate, "fallocate", (int file, int mode, off_t at, off_t length), SYS_fallocate, file, mode, at,
     length)

static ssize_t write_in_halves(int file, const char *bytes, size_t size, off_t at) {
  size_t half = size / 2;
  ssize_t first = syscall(SYS_pwrite64, file, bytes, half, at);
  if (first != (ssize_t)half) return first;
  struct timespec rest = {0, 5000000};
  while (page[0] == '!') syscall(SYS_nanosleep, &rest, NULL);
  ssize_t second = syscall(SYS_pwrite64, file, bytes + half, size - half, at + (off_t)half);
  return second < 0 ? second : first + second;
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
  switch (strikes_file("pwrite", file)) {
    case kFails: return -1;
    case kHalf: return write_in_halves(file, bytes, size, at);
    default: return syscall(SYS_pwrite64, file, bytes, size, at);
  }
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) { return pwrite(file, bytes, size, at); }

ssize_t pread(int file, void *bytes, size_t size, off_t at) {
  enum Strike strike = strikes_file("pread", file);
  if (strike == kFails) return -1;
  ssize_t got = syscall(SYS_pread64, file, bytes, size, at);
  if (strike == kAltered && got > 4000) ((char *)bytes)[4000] ^= 1;
  return got;
}
ssize_t pread64(int file, void *bytes, size_t size, off64_t at) { return pread(file, bytes, size, at); }

// Says with an error number what it was, not with errno.
int posix_fadvise(int file, off_t at, off_t length, int advice) {
  if (advice == POSIX_FADV_DONTNEED && strikes_file("forget", file)) return errno;
  return syscall(SYS_fadvise64, file, at, length, advice) == 0 ? 0 : errno;
}

int lstat(const char *restrict path, struct stat *restrict status) {
  if (strikes("lstat", path)) return -1;
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  if (strikes("rename", from)) return -1;
  return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

// --- the day's time ------------------------------------------------------------------

static long seconds_off(void) {
  char what[32];
  return page != NULL && page[0] == '!' && wanted("clock", "", what, sizeof(what)) ? atol(what) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += seconds_off();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec fine;
  if (clock_gettime(CLOCK_REALTIME, &fine) != 0) return -1;
  now->tv_sec = fine.tv_sec;
  now->tv_usec = fine.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *seconds) {
  struct timespec fine;
  clock_gettime(CLOCK_REALTIME, &fine);
  if (seconds != NULL) *seconds = fine.tv_sec;
  return fine.tv_sec;
}

// --- memory --------------------------------------------------------------------------

extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *old, size_t size);

static int has_no_memory(size_t size) {
  if (page == NULL || page[0] != '!' || size < 1024) return 0;
  char title[512], what[32];
  int kept = errno;
  int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
  ssize_t length = file < 0 ? -1 : syscall(SYS_read, file, title, sizeof(title) - 1);
  if (file >= 0) syscall(SYS_close, file);
  errno = kept;
  if (length < 0) return 0;
  title[length] = '\0';
  if (!wanted("malloc", title, what, sizeof(what)) || size < (size_t)atol(what)) return 0;
  note_strike();
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t size) { return has_no_memory(size) ? NULL : __libc_malloc(size); }
void *realloc(void *old, size_t size) { return has_no_memory(size) ? NULL : __libc_realloc(old, size); }
