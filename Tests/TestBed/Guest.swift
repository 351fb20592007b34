import Foundation
public import PumiceModel

/// A small Linux in a persistent libvirt domain, with room for ten hot-plugged disks and a root shell.
public struct Guest: Sendable {
  public let id: InstanceID
  public let name: String
  /// Where its shell is found on this machine.
  public let shellSocket: String
  private let bed: Bed
  private let libvirt: any Virsh
  private let shell: GuestShell
  private let xml: String
  private let console: String

  /// Nothing is there before `start()`.
  ///
  /// - Parameter socket: Where its QEMU offers the way to its shell, if that is on another machine. Somebody has to make a way
  ///   there from `shellSocket`.
  public init(
    _ name: String = "guest", image: GuestImage, libvirt: any Virsh, in bed: Bed, socket: String? = nil
  ) {
    id = .random()
    self.name = name
    self.bed = bed
    self.libvirt = libvirt
    shellSocket = bed.folder.file("\(name).sock")
    shell = GuestShell(path: shellSocket)
    console = bed.folder.file("\(name)-console.log")
    xml = Self.xml(id: id, name: name, image: image, console: console, shell: socket ?? shellSocket)
  }

  /// Defines the domain.
  public func define() async throws {
    let file = try bed.folder.write(xml, to: "\(name).xml")
    try await libvirt.virsh("define", file)
  }

  /// Starts the defined domain and returns when its shell answers.
  public func boot() async throws {
    try await libvirt.virsh("start", name)
    try await waitUntilUp()
  }

  /// Defines and boots it.
  public func start() async throws {
    try await define()
    try await boot()
  }

  /// Returns when the shell answers.
  public func waitUntilUp(within deadline: Duration = .seconds(120)) async throws {
    do { _ = try await run("true", within: deadline) } catch {
      throw TestBedFailure("\(name) is not up: \(error)\nIts console:\n\(LocalProcess.tail(of: console))")
    }
  }

  /// Runs a shell command in the guest and returns its output. Throws when it fails or does not end in time.
  @discardableResult
  public func run(_ command: String, within deadline: Duration = .seconds(30)) async throws -> String {
    let answer = try await shell.run(command, within: deadline)
    guard answer.status == 0 else {
      throw TestBedFailure("In \(name), `\(command)` ended with status \(answer.status): \(answer.output)")
    }
    return answer.output
  }

  /// Pulls the plug; the domain stays defined.
  public func powerOff() async throws {
    try await libvirt.virsh("destroy", name)
  }

  /// Pulls the plug and forgets the domain. Content when it is gone already.
  public func stop() async throws {
    if try await libvirt.virsh("list", "--name").split(separator: "\n").contains(Substring(name)) {
      try await powerOff()
    }
    if try await libvirt.virsh("list", "--all", "--name").split(separator: "\n").contains(Substring(name)) {
      try await libvirt.virsh("undefine", name)
    }
  }

  /// The domain's XML now; with `stored`, what the next start will use.
  public func xml(stored: Bool = false) async throws -> String {
    stored ? try await libvirt.virsh("dumpxml", name, "--inactive") : try await libvirt.virsh("dumpxml", name)
  }

  private static func xml(id: InstanceID, name: String, image: GuestImage, console: String, shell: String) -> String {
    let ports = String(repeating: "    <controller type='pci' model='pcie-root-port'/>\n", count: 14)
    return """
      <domain type='qemu'>
        <name>\(name)</name>
        <uuid>\(id)</uuid>
        <memory unit='MiB'>192</memory>
        <vcpu>1</vcpu>
        <os>
          <type arch='x86_64' machine='q35'>hvm</type>
          <kernel>\(image.kernel)</kernel>
          <initrd>\(image.initramfs)</initrd>
          <cmdline>console=ttyS0 quiet loglevel=4 panic=-1</cmdline>
        </os>
        <features><acpi/></features>
        <on_crash>destroy</on_crash>
        <devices>
          <emulator>/usr/bin/qemu-system-x86_64</emulator>
          <controller type='usb' model='none'/>
          <controller type='pci' index='0' model='pcie-root'/>
      \(ports)    <controller type='virtio-serial' index='0'/>
          <serial type='file'><source path='\(console)'/></serial>
          <channel type='unix'>
            <source mode='bind' path='\(shell)'/>
            <target type='virtio' name='pumice.shell'/>
          </channel>
          <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
          <memballoon model='none'/>
        </devices>
      </domain>

      """
  }
}
