// Where model folders keep their chat template.

import Checkpoints
public import JSONDocuments

/// `chat_template.jinja` of the folder at `path`, else `chat_template` of its tokenizer_config.json.
public func chatProgram(folder path: String) throws(DocumentError) -> String {
    let file = "\(path)/chat_template.jinja"
    guard !isPresent(file) else { return try readText(file) }
    return try readDocument("\(path)/tokenizer_config.json").member("chat_template").text()
}
