/** Names of devices of the Container Device Interface: `VENDOR/CLASS=NAME`, such as `nvidia.com/gpu=0`. */

/** Of a vendor and of a class. */
const KIND = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?$/;
const DEVICE = /^[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/;

/** Whether a text names such a device; all else is a path. By the rules of CDI's own parser, which docker asks. */
export function isCdiName(text: string): boolean {
  const [, kind = '', name = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  return isKind(kind) && isDeviceName(name);
}

/** `VENDOR/CLASS`, as a file says for all of its devices. */
export function isKind(text: string): boolean {
  const [, vendor = '', classname = ''] = /^([^/]*)\/(.*)$/s.exec(text) ?? [];
  return KIND.test(vendor) && KIND.test(classname);
}

/** What stands behind the `=`. */
export function isDeviceName(text: string): boolean {
  return DEVICE.test(text);
}
