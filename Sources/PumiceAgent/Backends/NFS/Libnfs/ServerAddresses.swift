import Glibc
import PumiceModel

/// The addresses of a server, as numbers, in the order in which to try them (getaddrinfo(3)). Blocks on the name service.
///
/// Throws `unavailable` when the name can't be resolved now, `notFound` when there is no such host.
func serverAddresses(_ host: String) throws(StorageError) -> [String] {
  var hints = addrinfo()
  hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  let status = getaddrinfo(host, nil, &hints, &list)
  defer { if let list { freeaddrinfo(list) } }
  guard status == 0 else {
    let isUnknown = status == EAI_NONAME
    throw StorageError(
      isUnknown ? .notFound : .unavailable,
      "Finding the address of the NFS server \(host) failed: \(String(cString: gai_strerror(status))).")
  }
  var addresses: [String] = []
  var next = list
  while let entry = next {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let status = getnameinfo(
      entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    if status == 0 {
      let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if !addresses.contains(address) { addresses.append(address) }
    }
    next = entry.pointee.ai_next
  }
  return addresses
}
