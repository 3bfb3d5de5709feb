//! Every function of the header with NULL and 0 for everything.

use std::fs;

use crate::compiler::{Compiler, in_crate, linked, run, succeed};

/// What the header declares: result, name, and how many arguments.
fn prototypes() -> Vec<(String, String, usize)> {
    let header = fs::read_to_string(in_crate("include/dmtcp_rs.h")).unwrap();
    let code: Vec<_> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let behind = code.split_once("extern \"C\" {\n#endif").unwrap().1;
    let statements = behind.split(';').filter_map(|statement| {
        let (head, arguments) = statement
            .rsplit_once("\n\n")
            .map_or(statement, |(_, last)| last)
            .split_once('(')?;
        let at = head.rfind([' ', '*'])? + 1;
        let (result, name) = head.split_at(at);
        let arguments = arguments.trim_end().strip_suffix(')')?;
        let count = match arguments {
            "void" => 0,
            some => some.split(',').count(),
        };
        Some((result.trim().to_owned(), name.to_owned(), count))
    });
    statements.collect()
}

#[test]
fn null_does_no_harm_anywhere() {
    let Some(cc) = Compiler::find() else { return };
    let prototypes = prototypes();
    assert!(prototypes.len() > 90, "{prototypes:?}");
    let mut text = "#include \"check.h\"\n\nint main(void) {\n".to_owned();
    let mut failing = 0;
    for (result, name, count) in &prototypes {
        let zeros = vec!["0"; *count].join(", ");
        if result == "dmtcp_result" {
            failing += 1;
            text += &format!(
                "  {{\n    dmtcp_result code = {name}({zeros});\n    \
                 CHECK(code == DMTCP_ERR_NULL || code == DMTCP_ERR_ARGUMENT);\n    \
                 CHECK(*dmtcp_last_error_message() != 0);\n  }}\n"
            );
        } else {
            text += &format!("  (void){name}({zeros});\n");
        }
    }
    text += "  return 0;\n}\n";
    assert!(failing > 60, "{failing}");
    let source = cc.dir().join("null.c");
    fs::write(&source, text).unwrap();
    for &linked in linked() {
        succeed(&mut run(&cc.program_in("-std=c11", &source, linked)));
    }
}
