/// As whom, and where, a session asks an NFS server.
package struct LibnfsSettings: Sendable {
  package struct Ports: Sendable {
    package var nfs: Int
    package var mount: Int

    package init(nfs: Int, mount: Int) {
      self.nfs = nfs
      self.mount = mount
    }
  }

  /// The credential of every call (AUTH_SYS, RFC 5531): the server takes our word for it, or squashes it.
  package var user: UInt32
  package var group: UInt32
  /// `nil` asks the server's portmapper.
  package var ports: Ports?
  /// How long each call may take.
  package var deadline: Duration

  package init(user: UInt32, group: UInt32, ports: Ports? = nil, deadline: Duration = .seconds(30)) {
    self.user = user
    self.group = group
    self.ports = ports
    self.deadline = deadline
  }
}
