/** The metrics of a container as Stats gives them: what is read from which files, and in which field it goes. */
import type { google } from '../../api/gen/api.js';
import { cook, Recipe } from '../../sys/index.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';
import { putMetricsV1 } from './metrics-v1.js';
import { putMetricsV2 } from './metrics-v2.js';

export function encodeMetrics(cgroup: CgroupPaths): google.protobuf.Any.$Properties {
  return { type_url: typeOf(cgroup), value: cook(putMetrics(new Recipe(), cgroup).bytes()) };
}

/** What makes the envelope of a response to Stats: `bytes payload = 2`, in it `Any stats = 1`. */
export function statsRecipe(cgroup: CgroupPaths): Recipe {
  return new Recipe().message(2, (response) =>
    response.message(1, (any) => any.text(1, typeOf(cgroup)).message(2, (value) => putMetrics(value, cgroup))),
  );
}

function putMetrics(recipe: Recipe, cgroup: CgroupPaths): Recipe {
  if (cgroup.version === 1) putMetricsV1(recipe, cgroup.controllers);
  else putMetricsV2(recipe, cgroup.dir);
  return recipe;
}

function typeOf({ version }: CgroupPaths): string {
  return `io.containerd.cgroups.v${version}.Metrics`;
}
