import ArgumentParser

struct Attach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Give a volume to an instance as a disk, running or shut off.",
    discussion: """
      The disk's serial in the guest is the volume's id: find it with lsblk -o NAME,SERIAL or in /dev/disk/by-id.

      EXAMPLES
        pumice attach db web1 --wait
        pumice attach db web1 --device vdc
      """)

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @Argument(help: "The instance: a libvirt domain, by name or UUID.")
  var instance: String

  @Option(help: ArgumentHelp("The target name in the domain, such as vdb; a free one without this.", valueName: "name"))
  var device: String?

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard let device else { return }
    let name = Self.bare(device)
    guard name.utf8.count <= 32, let first = name.first, first.isLetter,
      name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) })
    else { throw ValidationError("--device must be a target name such as vdb, not \"\(device)\".") }
  }

  func run() async throws {
    let client = connection.client
    let volume = try await client.volume(volume)
    let instance = try await client.instance(instance)
    var body: [String: JSONValue] = ["volumeId": .string(volume.id)]
    body["device"] = device.map { .string("/dev/" + Self.bare($0)) }
    let answer = try await client.post(
      .compute("servers", instance.id, "os-volume_attachments"), ["volumeAttachment": .object(body)])
    guard waiting.wait else {
      if output.json { Console.current.write(answer["volumeAttachment"].pretty) }
      output.confirm("Volume \(volume.label) is being attached to \(instance.name).", id: volume.id)
      return
    }
    let attached = try await attach(volume, to: instance, client)
    output.print(attached) { attached.facts }
  }

  private func attach(
    _ volume: VolumeResource, to instance: InstanceResource, _ client: CoordinatorClient
  ) async throws -> VolumeResource {
    try await waiting.follow(volume, whileItIsBeing: "attached", client) { now in
      switch now.status {
      case "in-use" where now.attachments.contains { $0["server_id"].text == instance.id }: return .done(now)
      // The reservation was taken back: the attach failed, and all that was done for it is undone.
      case "available", "error_attaching", "error":
        throw await client.failure("Volume \(volume.label) could not be attached to \(instance.name)", of: now)
      default: return .going(now.status)
      }
    }
  }

  private static func bare(_ device: String) -> String {
    device.hasPrefix("/dev/") ? String(device.dropFirst(5)) : device
  }
}
