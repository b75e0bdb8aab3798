//! ODCS dataset files to dataset definitions, with every error placed in the file.
