import Glibc
import PumiceModel

/// A node below /dev/mapper: a name for the number of a device of device-mapper, by which a program opens it.
///
/// udev makes it some time after the device is there, and takes it away. One that was left behind leads to another device
/// once the kernel gives the number away again; so the kernel, which knows each device's name
/// (Documentation/ABI/testing/sysfs-block-dm), is asked whose it is. Every call blocks for a moment.
struct DeviceMapperNode: Sendable {
  private static let folder = "/dev/mapper/"

  private let path: String
  private let name: String
  private let sysfs = Sysfs()

  /// `nil` for a path that lies elsewhere.
  init?(_ path: String) {
    guard path.hasPrefix(Self.folder) else { return nil }
    self.path = path
    name = String(path.dropFirst(Self.folder.count))
  }

  /// Throws `wrongDevice` when the file that was opened by this path is a device of another name.
  func check(_ descriptor: Int32) throws(StorageError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.error("Looking at \(path)") }
    let found = mappedName(status)
    guard found == name else {
      throw StorageError(.wrongDevice, "\(path) leads to \(found ?? "what is no device of device-mapper").")
    }
  }

  /// Has the node lead to the device of its name, as the same link that udev makes and takes away in the end. Does nothing
  /// when there is no such device.
  func mend() throws(StorageError) {
    var status = stat()
    if stat(path, &status) == 0, mappedName(status) == name { return }
    // The device is a new one, and those have high numbers.
    let numbers = sysfs.names(in: "class/block").compactMap { $0.hasPrefix("dm-") ? Int($0.dropFirst(3)) : nil }
    guard
      let number = numbers.sorted(by: >).first(where: { sysfs.text("class/block/dm-\($0)/dm/name") == name })
    else { return }
    let temporary = "\(path).\(UInt32.random(in: 0 ... .max))"
    guard symlink("../dm-\(number)", temporary) == 0, rename(temporary, path) == 0 else {
      throw Self.error("Linking \(path) to dm-\(number)")
    }
  }

  private func mappedName(_ status: stat) -> String? {
    sysfs.text("dev/block/\(deviceNumber(status.st_rdev))/dm/name")
  }

  /// See symlink(2), rename(2).
  private static func error(_ attempt: String) -> StorageError {
    StorageError(errno == EACCES ? .forbidden : .failed, "\(attempt) failed: \(String(cString: strerror(errno))).")
  }
}
