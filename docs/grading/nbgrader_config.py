"""nbgrader's settings for assignments that scripts/make_assignment.py made."""

c = get_config()  # noqa: F821 - traitlets has it there
c.CourseDirectory.course_id = "kubernetes"
# In place of a model answer, which a teacher may write between BEGIN SOLUTION and END SOLUTION.
c.ClearSolutions.code_stub = {"python": "# Put your answer in place of None, or your commands above this line."}
# A cell that brings a lab up, or tries something on it, may take a minute.
c.ExecutePreprocessor.timeout = 300
