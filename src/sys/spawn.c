/* Starting a program, with exactly the descriptors that it is to have. */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include "../monitor/spawn.h"
#include "monitor.h"
#include <sys/stat.h>
#include <unistd.h>

/* A NULL-terminated copy of an array of strings, to be freed with free_strings. */
static char **strings(napi_env env, napi_value array) {
  uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  char **result = calloc(length + 1, sizeof *result);
  for (uint32_t i = 0; result && i < length; i++) {
    napi_value item;
    napi_get_element(env, array, i, &item);
    result[i] = string(env, item);
  }
  return result;
}

static void free_strings(char **list) {
  for (char **item = list; item && *item; item++) free(*item);
  free(list);
}

static napi_value set_children_nofile(napi_env env, napi_callback_info info) {
  ARGS(1);
  children_nofile = (rlim_t)integer(env, arg[0]);
  return NULL;
}

extern char **environ;

/* This process's environment but for one variable: a list to be freed, of texts that stay this process's. */
static char **own_environment(const char *without) {
  size_t count = 0, length = without ? strlen(without) : 0;
  while (environ[count]) count++;
  char **list = calloc(count + 1, sizeof *list), **to = list;
  for (char **one = environ; list && *one; one++) {
    /* What is no variable is nobody's. */
    const char *value = strchr(*one, '=');
    if (value && !(without && (size_t)(value - *one) == length && memcmp(*one, without, length) == 0)) *to++ = *one;
  }
  return list;
}

/* spawn(file, argv, env, cwd|null, fds, dieWithParent, ownGroup): the pid, or -errno, also when exec itself fails.
 * fds[i] becomes the child's descriptor i; everything else is closed. Where there is a monitor it is its child.
 * env: NAME=VALUE each; or the name of a variable that it does not get of this process's own, or null. */
static napi_value spawn(napi_env env, napi_callback_info info) {
  ARGS(7);
  uint32_t count = 0;
  int descriptors[SPAWN_DESCRIPTORS];
  napi_get_array_length(env, arg[4], &count);
  if (count > SPAWN_DESCRIPTORS) return throw_type(env, "too many descriptors");
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    napi_get_element(env, arg[4], i, &item);
    descriptors[i] = (int)integer(env, item);
  }
  bool is_own = true;
  char *file = string(env, arg[0]), *cwd = string(env, arg[3]), *without = NULL;
  napi_is_array(env, arg[2], &is_own);
  is_own = !is_own;
  if (is_own) without = string(env, arg[2]);
  char **argv = strings(env, arg[1]), **envp = is_own ? own_environment(without) : strings(env, arg[2]);
  const bool is_whole = file && argv && envp;
  struct program program = {.file = file, .argv = argv, .envp = envp, .cwd = cwd};
  napi_get_value_bool(env, arg[5], &program.die_with_parent);
  napi_get_value_bool(env, arg[6], &program.own_group);
  pid_t pid = !is_whole ? -ENOMEM : has_monitor() ? spawn_by_monitor(&program, descriptors, count) : spawn_program(&program, descriptors, (int)count);
  free(file);
  free(cwd);
  free(without);
  free_strings(argv);
  if (is_own) free(envp);
  else free_strings(envp);
  return number(env, pid);
}

/* exec(file, argv, env): -errno, if it returns. Signals have been reset then, and the process is good for saying so. */
static napi_value exec_program(napi_env env, napi_callback_info info) {
  ARGS(3);
  char *file = string(env, arg[0]);
  char **argv = strings(env, arg[1]), **envp = strings(env, arg[2]);
  int why = become_program(&(struct program){.file = file, .argv = argv, .envp = envp}, NULL, -1);
  free(file);
  free_strings(argv);
  free_strings(envp);
  return number(env, -why);
}

/* firstProgram(files): which is the first that is a file and may be executed, or -ENOENT. */
static napi_value first_program(napi_env env, napi_callback_info info) {
  ARGS(1);
  uint32_t count = 0;
  napi_get_array_length(env, arg[0], &count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    struct stat stat_of;
    napi_get_element(env, arg[0], i, &item);
    char *file = string(env, item);
    const bool is_one = file && stat(file, &stat_of) == 0 && S_ISREG(stat_of.st_mode) && access(file, X_OK) == 0;
    free(file);
    if (is_one) return number(env, i);
  }
  return number(env, -ENOENT);
}

void register_spawn(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"spawn", spawn},
      {"exec", exec_program},
      {"firstProgram", first_program},
      {"setChildrenNofile", set_children_nofile},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
