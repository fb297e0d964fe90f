/* What is answered before JavaScript hears of it, on connections that watchAnswering() has named. */
#include "../monitor/answers.h"
#include "../monitor/recipe.h"
#include "addon.h"
#include "arguments.h"

/* answersKeep(bytes): 0 or -errno. As of now these requests are answered so (ASK_ANSWERS, of no connections). */
static napi_value keep_answers(napi_env env, napi_callback_info info) {
  ARGS(1);
  void *bytes;
  size_t length;
  napi_get_buffer_info(env, arg[0], &bytes, &length);
  char *copy = malloc(length + 1);
  if (!copy) return number(env, -ENOMEM);
  memcpy(copy, bytes, length);
  if (answers_keep(copy, length, 0)) return number(env, 0);
  free(copy);
  return number(env, -EINVAL);
}

/* answersForget(): how many were given. */
static napi_value forget_answers(napi_env env, napi_callback_info info) {
  (void)info;
  answers_forget();
  return number(env, answers_given());
}

/* recipeFailed(): the file that recipeCook could not read. */
static napi_value failed_file(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value path;
  napi_create_string_utf8(env, recipe_failed_file(), NAPI_AUTO_LENGTH, &path);
  return path;
}

/* recipeCook(steps): a Buffer with what they make now, or -errno. */
static napi_value cook(napi_env env, napi_callback_info info) {
  ARGS(1);
  void *steps;
  size_t length;
  napi_get_buffer_info(env, arg[0], &steps, &length);
  struct cooked cooked = {0};
  napi_value result;
  if (recipe_cook(steps, length, &cooked)) napi_create_buffer_copy(env, cooked.length, cooked.bytes, NULL, &result);
  else result = number(env, -errno);
  cooked_free(&cooked);
  return result;
}

void register_answers(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"answersKeep", keep_answers},
      {"answersForget", forget_answers},
      {"recipeCook", cook},
      {"recipeFailed", failed_file},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
