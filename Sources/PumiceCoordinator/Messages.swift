import HashTreeCollections
import PumiceModel

/// The use cases of messages to users.
extension Tables {
  /// The message, if it is there and the project's; every other is `notFound`. `nil` stands for every project.
  func message(_ id: MessageID, of project: ProjectID?) throws(StorageError) -> UserMessage {
    guard let message = messages[id], project == nil || message.project == project else {
      throw StorageError(.notFound, "Message \(id) could not be found.")
    }
    return message
  }

  mutating func deleteMessage(_ id: MessageID, of project: ProjectID?) throws(StorageError) {
    remove(try message(id, of: project))
  }
}
