/*
 * Where the bundle lies: seen from this program (in a checkout, beside it, around it as installed), or else where it was when this
 * program was built or installed. That last one serves a copy that has been put elsewhere, as a link needs none.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Why a place that has a bundle isn't used: for the message, where no other is. */
struct refusal {
  char library[PATH_MAX];
  bool is_open;
  uid_t owner;
};

/*
 * A copy may lie where others may write too, as in /tmp/x, and then its neighbours are whoever's. It loads what belongs to
 * root, to its caller, or to who could as well replace this program; and what anybody may write to only where that is true
 * of this program.
 */
static bool is_trusted(const char *library, const char *directory, struct refusal *refusal) {
  struct stat found, program, around;
  if (stat(library, &found) == -1 || stat("/proc/self/exe", &program) == -1 || stat(directory, &around) == -1) return false;
  bool is_owned = found.st_uid == 0 || found.st_uid == geteuid() || found.st_uid == program.st_uid || found.st_uid == around.st_uid;
  bool is_open = (found.st_mode & S_IWOTH) && !(program.st_mode & S_IWOTH);
  if (is_owned && !is_open) return true;
  *refusal = (struct refusal){.is_open = is_open, .owner = found.st_uid};
  snprintf(refusal->library, sizeof refusal->library, "%s", library);
  return false;
}

/* `place` may lead through links: all that is run has one name, which a zygote's socket is named after. */
static bool is_library(const char *place, const char *directory, char library[PATH_MAX], struct refusal *refusal) {
  char file[PATH_MAX + 16];
  if (!realpath(place, library)) return false;
  snprintf(file, sizeof file, "%s/shim.cjs", library);
  return access(file, R_OK) == 0 && is_trusted(library, directory, refusal);
}

static void complain(const char *directory, const char *built_in, const struct refusal *refusal) {
  fprintf(stderr, RUNTIME ": the shim's library (shim.cjs) is neither in %s nor in .., ../lib/hawser or ../dist from there, ", directory);
  if (built_in) fprintf(stderr, "nor in %s, where it was when this program was built or installed: build or install it again", built_in);
  else fprintf(stderr, "and this program was not told another place: run the one that was installed, by its path or a link, not a copy of it");
  if (!*refusal->library) return;
  fprintf(stderr, "; what is in %s is not loaded, as ", refusal->library);
  if (refusal->is_open) fprintf(stderr, "anybody may write there");
  else fprintf(stderr, "it belongs to user %u", (unsigned)refusal->owner);
}

bool find_library(char library[PATH_MAX]) {
  static const char *const places[] = {"/../lib/hawser", "/../dist", "/.", "/.."};
  char self[PATH_MAX], place[PATH_MAX];
  struct refusal refusal = {.library = ""};
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return fail("cannot read", "/proc/self/exe") == 0;
  self[length] = '\0';
  *strrchr(self, '/') = '\0';
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (snprintf(place, sizeof place, "%s%s", self, places[i]) < (int)sizeof place && is_library(place, *self ? self : "/", library, &refusal)) return true;
  bool has_place = built_in_library(place);
  if (has_place && is_library(place, *self ? self : "/", library, &refusal)) return true;
  complain(*self ? self : "/", has_place ? place : NULL, &refusal);
  return false;
}
