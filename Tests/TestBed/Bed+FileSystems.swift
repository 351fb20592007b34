import Foundation

extension Bed {
  /// Makes a file system, such as `xfs`, `btrfs` or `ext4` in a sparse file, or `tmpfs`, and returns the path of a folder in it.
  ///
  /// It is mounted for one process of the bed alone, through which the path goes, and so it ends with the bed. Takes root and
  /// the type's `mkfs`.
  public func makeFileSystem(_ type: String, mebibytes: Int) async throws -> String {
    let base = try folder.folder("file-system-\(type)-\(mebibytes)")
    let (image, mount) = ("\(base)/image", "\(base)/mount")
    try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: false)
    if type != "tmpfs" {
      try await run(["truncate", "-s", "\(mebibytes)M", image])
      try await run(["mkfs.\(type)", type == "ext4" ? "-qF" : "-q", image])
    }
    let options = type == "tmpfs" ? "size=\(mebibytes)m" : "loop"
    let holder = try start(
      [
        "unshare", "--mount", "sh", "-c",
        #"mount -t "$1" -o "$2" "$3" "$4" && mkdir -m 0700 "$4/folder" && exec sleep infinity"#, "mount", type,
        options, image, mount,
      ], name: "mount-\(type)")
    let path = "/proc/\(holder.id)/root\(mount)/folder"
    try await eventually("\(type) is mounted; the log says: \(holder.logTail)") {
      guard holder.isRunning else { throw TestBedFailure("Mounting \(type) failed: \(holder.logTail)") }
      return FileManager.default.fileExists(atPath: path)
    }
    return path
  }
}
