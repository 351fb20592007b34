import Glibc
import TestBed

/// Lends the address of a socket that accepts connections and never answers.
func withSilentPortal(_ body: (String) async throws -> Void) async throws {
  let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  defer { close(socket) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let bound = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(socket, $0, length) == 0 && listen(socket, 4) == 0 && getsockname(socket, $0, &length) == 0
    }
  }
  guard bound else { throw TestBedFailure("No silent portal could be opened.") }
  try await body("127.0.0.1:\(UInt16(bigEndian: address.sin_port))")
}
