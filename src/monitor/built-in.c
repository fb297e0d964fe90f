/*
 * The library's place, for a copy of this program that lies alone somewhere: it cannot be found from there. What is
 * compiled names none; the build writes it into a copy, one for the checkout and one for each place that is installed to
 * (src/build/programs.ts). So packagers need no compiler to install, and what a package has is the same wherever it was built.
 */
#include "launcher.h"

/* The build looks for the mark. Volatile: what the file has counts, not what the compiler saw. */
static const volatile char slot[sizeof BUILT_IN_MARK + PATH_MAX] = BUILT_IN_MARK;

bool built_in_library(char place[PATH_MAX]) {
  const volatile char *from = slot + sizeof BUILT_IN_MARK - 1;
  size_t i = 0;
  do place[i] = from[i];
  while (place[i] && ++i < PATH_MAX);
  return i > 0 && i < PATH_MAX;
}
