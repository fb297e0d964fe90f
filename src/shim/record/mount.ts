/** One mount of a container's rootfs, as the daemon describes it (containerd.types.Mount). */
export interface Mount {
  type: string;
  source: string;
  /** Where inside the rootfs; empty for the rootfs itself. */
  target: string;
  options: string[];
}
