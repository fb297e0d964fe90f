/* The command line, as far as it is the one that daemons use; anything else is left to the real parser (flags.ts). */
#include "launcher.h"
#include <string.h>

static bool is_one_of(const char *word, size_t length, const char *const *list) {
  for (; *list; list++)
    if (strlen(*list) == length && strncmp(word, *list, length) == 0) return true;
  return false;
}

bool parse_words(char **argv, int argc, struct words *words) {
  static const char *const with_value[] = {"namespace", "id", "address", "publish-binary", "bundle", "socket", "debug-socket", NULL};
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1), *value = strchr(name, '=');
    size_t length = value ? (size_t)(value - name) : strlen(name);
    if (!value && length == 5 && strcmp(name, "debug") == 0) continue;
    if (!is_one_of(name, length, with_value)) return false;
    if (value) value++;
    else if (++i == argc) return false;
    else value = argv[i];
    if (length == 2) words->id = value;
    else if (strncmp(name, "namespace", length) == 0) words->namespace = value;
    else if (strncmp(name, "address", length) == 0) words->address = value;
  }
  if (i == argc) return false;
  words->action = argv[i];
  return true;
}

bool is_identifier(const char *text) {
  bool after_separator = true;
  for (; *text; text++) {
    bool is_plain = (*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');
    if (!is_plain && (after_separator || !strchr("._-", *text))) return false;
    after_separator = !is_plain;
  }
  return !after_separator;
}
