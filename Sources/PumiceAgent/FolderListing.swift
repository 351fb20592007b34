import Glibc
import SystemPackage

/// The names in an open folder, but for `.` and `..`, in no order (readdir(3)).
func fileNames(in folder: Int32) throws(Errno) -> [String] {
  // Opened anew: reading moves the position, which all copies of a descriptor share.
  let copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard copy >= 0 else { throw Errno(rawValue: errno) }
  guard let stream = fdopendir(copy) else {
    let failure = Errno(rawValue: errno)
    close(copy)
    throw failure
  }
  defer { closedir(stream) }
  var names: [String] = []
  errno = 0
  while let entry = readdir(stream) {
    names.append(
      withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      })
    errno = 0
  }
  guard errno == 0 else { throw Errno(rawValue: errno) }
  return names.filter { $0 != "." && $0 != ".." }
}
