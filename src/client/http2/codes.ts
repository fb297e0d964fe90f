/** What HTTP/2 says that is wrong (RFC 9113, section 7). */
export const NO_ERROR = 0x0;
export const PROTOCOL_ERROR = 0x1;
export const FLOW_CONTROL_ERROR = 0x3;
export const FRAME_SIZE_ERROR = 0x6;
export const REFUSED_STREAM = 0x7;
export const CANCEL = 0x8;
export const COMPRESSION_ERROR = 0x9;
export const ENHANCE_YOUR_CALM = 0xb;
export const INADEQUATE_SECURITY = 0xc;

/** The other side does not keep to HTTP/2, or says that this one doesn't: the connection can't go on. */
export class HttpError extends Error {
  override readonly name = 'HttpError';

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}
